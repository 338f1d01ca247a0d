"""The command line: read, call, print. Heavy imports wait until a command needs them."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import typer

from headstart import cli_machine, cli_serve, cli_shelf, streams
from headstart.errors import HeadstartError
from headstart.options import Adapter, AsJson, Base, Examples, Offline, Precision

STOPPED = 130
"""Exit code after Ctrl-C, as shells have it: 128 and the signal's number."""
SEEDS = 2**63
"""Seeds below nought, and as many from there: those that a generator of random numbers takes."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Teach a local language model a new task from five to ten examples, in seconds, into a file of a few megabytes.",
    epilog="Start with `headstart demo`. Adapters lie in `$HEADSTART_HOME/adapters` as plain PEFT folders.",
)
app.add_typer(cli_shelf.app, name="adapters")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"headstart {version('headstart')}")
        raise typer.Exit


@app.callback()
def _whole(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None: ...


@app.command()
def adapt(
    examples: Examples,
    name: Annotated[str, typer.Option("--name", help="What the adapter is called on the shelf.", show_default=False)],
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of an adapter of this name.")] = False,
    base: Base = None,
    precision: Precision = None,
    start: Annotated[
        str, typer.Option("--start", help="A start (see `headstart starts`), an adapter or `none`; `auto` chooses among them and none.")
    ] = "auto",
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            max=10_000,
            help="Exactly this many steps. Default: as many as the start asks for; without one 20, or fewer once the examples are learnt.",
            show_default=False,
        ),
    ] = None,
    rank: Annotated[
        int | None,
        typer.Option(
            "--rank", min=1, max=512, help="Rank of the LoRA; no start is tried then. Default: a start's, or 8.", show_default=False
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            help="Linears to bend, such as `q_proj,v_proj`, or `all-linear`; no start is tried then. Default: a start's, or all of "
            "the upper third of the layers.",
            show_default=False,
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            "--layers",
            help="Layers to bend, such as `20-29`; no start is tried then. Default: all where --target is given.",
            show_default=False,
        ),
    ] = None,
    prefix: Annotated[
        bool,
        typer.Option(
            "--prefix/--no-prefix",
            help="Keep the examples, unless they are more than twenty, in front of every prompt if held-out scores say it pays; or teach "
            "weights that need none.",
        ),
    ] = True,
    as_json: AsJson = False,
    offline: Offline = False,
) -> None:
    """Teach the base from a file of five to ten examples.

    Prints the honest report: every example is held out once, and the adapter is compared with the bare base and with the
    examples simply put in the prompt. The adapter is a plain PEFT folder; it is there before the report is, and Ctrl-C leaves it.
    """
    bends = _layers(layers)
    from headstart.commands import adapt as command
    from headstart.teach import Recipe

    recipe = Recipe(steps=steps, rank=rank, target=_names(target), layers=bends, prefix=prefix)
    command.run(examples, name, replace, base, precision, start, recipe, as_json)


@app.command()
def ask(
    prompt: Annotated[str, typer.Argument(help="The question; `-` reads it from standard input.", show_default=False)],
    adapter: Adapter = None,
    base: Base = None,
    precision: Precision = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Most tokens to answer with.")] = 256,
    temperature: Annotated[float, typer.Option("--temperature", min=0.0, help="0 is greedy: always the likeliest token.")] = 0.0,
    top_p: Annotated[
        float, typer.Option("--top-p", min=0.0, max=1.0, help="Draw from the smallest set of tokens with this much probability.")
    ] = 1.0,
    seed: Annotated[int, typer.Option("--seed", min=-SEEDS, max=SEEDS - 1, help="Of the draw.")] = 0,
    as_json: AsJson = False,
    offline: Offline = False,
) -> None:
    """Answer one prompt, through an adapter or with the bare base."""
    from headstart.commands import ask as command
    from headstart.lm.generate import Sampling

    sampling = Sampling(max_tokens, temperature, top_p, seed)
    # A pipe ends its text with a line break, and examples are taught without.
    command.run(sys.stdin.read().strip() if prompt == "-" else prompt, adapter, base, precision, sampling, as_json)


@app.command("eval")
def evaluate(
    examples: Examples,
    adapter: Adapter = None,
    shots: Annotated[
        int | None,
        typer.Option(
            "--shots",
            min=1,
            help="Instead: adapt on this many examples drawn from the file, and score the rest. With --learner: examples of each class.",
            show_default=False,
        ),
    ] = None,
    learner: Annotated[
        Literal["prototypes", "neighbour"] | None,
        typer.Option(
            "--learner",
            help='Instead of answering, tell classes apart by the base\'s features; rows may be {"text","label"}.',
            show_default=False,
        ),
    ] = None,
    worth: Annotated[
        bool,
        typer.Option(
            "--worth", help="Instead: how good 2, 5, 10, 20, … of the file's examples make it, from every start and from scratch."
        ),
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="With --worth: the curves as a PNG; needs matplotlib.", show_default=False)
    ] = None,
    base: Base = None,
    precision: Precision = None,
    seed: Annotated[int, typer.Option("--seed", min=-SEEDS, max=SEEDS - 1, help="Of the draw with --shots and --worth.")] = 0,
    as_json: AsJson = False,
    offline: Offline = False,
) -> None:
    """Score a file of examples: exact match and loss, with 95 % intervals.

    With --learner the completions are classes. A few examples of each are shown, without a gradient step, and the rest is told
    apart; without --shots every example is held out once.
    """
    if learner is not None:
        if worth or plot is not None:
            raise typer.BadParameter("--learner takes no step to measure: --worth and --plot do not go with it.", param_hint="--learner")
        from headstart.commands import classify

        classify.run(examples, learner, shots, adapter, base, precision, seed, as_json)
        return
    if shots == 1:
        raise typer.BadParameter("1 is not in the range x>=2: an adapter is taught from two examples or more.", param_hint="--shots")
    if worth:
        if adapter is not None or shots is not None:
            raise typer.BadParameter("--worth teaches adapters of its own: --adapter and --shots do not go with it.", param_hint="--worth")
        from headstart.commands import worth as meter

        meter.run(examples, base, precision, seed, plot, as_json)
        return
    if plot is not None:
        raise typer.BadParameter("--plot draws the curves of --worth.", param_hint="--plot")
    from headstart.commands import evaluate as command

    command.run(examples, adapter, shots, base, precision, seed, as_json)


@app.command()
def demo(as_json: AsJson = False, offline: Offline = False) -> None:
    """Teach the default base a query language it has never seen, from ten examples, and show it before and after."""
    from headstart.commands import demo as command

    command.run(as_json)


@app.command("meta-train")
def meta_train(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG.toml] [KEY=VALUE]...", help="A config, and settings on top such as outer.steps=100, or outer.clip= for none."
        ),
    ] = None,
    tasks: Annotated[
        str | None, typer.Option("--tasks", help="A folder of images or of files of examples, or a kind of tasks.", show_default=False)
    ] = None,
    learner: Annotated[
        str | None,
        typer.Option("--learner", help="Such as `fomaml`, `reptile` or `prototypes`; a wrong one lists all.", show_default=False),
    ] = None,
    ways: Annotated[int | None, typer.Option("--ways", min=1, help="Classes in a task.", show_default=False)] = None,
    shots: Annotated[
        int | None, typer.Option("--shots", min=1, help="Support examples: of each class, or of a task in texts.", show_default=False)
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Where the tasks' files are.", show_default=False)] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=0, help="Meta-steps.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of first weights and training tasks.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The run's folder. Default: one under `$HEADSTART_HOME/runs`.", show_default=False)
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over what the folder holds of a run.")] = False,
    only_print: Annotated[
        bool, typer.Option("--print-config", help="Print every setting with its meaning, as a config, and stop.")
    ] = False,
    as_json: AsJson = False,
    offline: Offline = False,
) -> None:
    """Train a learner on many tasks, and score it on tasks that it has not seen.

    What was stopped goes on where it was: run the same command again. Several processes share the work under
    `torchrun --standalone --nproc-per-node=4 -m headstart meta-train …`.
    """
    from headstart.commands import meta_train as command

    options = {"tasks.kind": tasks, "learner.kind": learner, "tasks.ways": ways, "tasks.shots": shots, "tasks.data": data and str(data)}
    command.run(words or [], options | {"outer.steps": steps, "seed": seed}, out, fresh, only_print, as_json)


@app.command()
def starts(as_json: AsJson = False) -> None:
    """The starts that `adapt` may begin from: what they were meta-trained on, and how well that did."""
    from headstart.commands import starts as command

    command.list_all(as_json)


app.command()(cli_serve.serve)
app.command()(cli_serve.studio)
app.command()(cli_machine.plan)
app.command()(cli_machine.doctor)
app.command()(cli_machine.bench)


def _names(text: str | None) -> tuple[str, ...] | None:
    """`q_proj,v_proj` -> those two."""
    return tuple(filter(None, text.split(","))) if text else None


def _layers(text: str | None) -> tuple[int, ...] | None:
    """`3,20-22` -> 3, 20, 21, 22."""
    if text is None:
        return None
    found: list[int] = []
    for part in text.split(","):
        # No model has a layer of five digits.
        named = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part, re.ASCII)
        low, high = (int(named[1]), int(named[2] or named[1])) if named else (1, 0)
        if high < low:
            raise typer.BadParameter(f"'{text}' names no layers: such as 20-29, or 3,7,11.", param_hint="--layers")
        found += range(low, high + 1)
    return tuple(found)


def main() -> None:
    """Run the command line: exit code 0 done, 1 a user's error, 2 usage, 130 stopped."""
    streams.settle()
    try:
        with streams.written():
            app()
    except HeadstartError as error:
        typer.echo(streams.plain(f"{error.word}: {error}"), err=True)
        sys.exit(error.exit_code)
    except SystemExit as stop:
        # Typer turns Ctrl-C into this code and says nothing.
        if stop.code == STOPPED:
            typer.echo("stopped.", err=True)
        raise
