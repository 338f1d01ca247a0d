"""`headstart plan`, `doctor` and `bench`: what a machine can do, what is wrong with it, and how well it does."""

from __future__ import annotations

from typing import Annotated

import typer

from headstart.options import AsJson, Kept, Offline
from headstart.plan.setting import Setting
from headstart.terms import Purpose


def plan(
    model: Annotated[
        str | None,
        typer.Argument(help="A Hugging Face id, a folder, a config.json or a .gguf file. Default: the embedded base.", show_default=False),
    ] = None,
    card: Annotated[
        str | None, typer.Option("--card", help='Such as "RTX 4090"; a wrong one lists the nearest.', show_default=False)
    ] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", help="A card of so much, such as 24GB or 8GiB. Default: this machine.", show_default=False)
    ] = None,
    purpose: Annotated[Purpose, typer.Option("--for", help="What the verdict is about; all are forecast.")] = "adapt",
    precision: Annotated[Kept, typer.Option("--precision", help="Of the base.")] = "bf16",
    rank: Annotated[int, typer.Option("--rank", min=1, max=512, help="Of the LoRA.")] = Setting.rank,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", help="Linears to bend, or `all-linear`. Default: q_proj,v_proj, or the family's one for both.", show_default=False
        ),
    ] = None,
    lowest: Annotated[int, typer.Option("--lowest", min=0, help="Lowest layer that is bent; all above are too.")] = Setting.lowest,
    examples: Annotated[int, typer.Option("--examples", min=1, max=1_000_000, help="How many are shown.")] = Setting.examples,
    length: Annotated[int, typer.Option("--length", min=2, help="Tokens of each, the answer included.")] = Setting.length,
    answer: Annotated[int | None, typer.Option("--answer", min=1, help="Tokens of each answer. Default: half.", show_default=False)] = None,
    prefix: Annotated[bool, typer.Option("--prefix/--no-prefix", help="Taught in front of each other, or each alone.")] = Setting.prefix,
    checkpoint: Annotated[bool, typer.Option("--checkpoint", help="Compute layers again in the backward pass.")] = Setting.checkpoint,
    piece: Annotated[int, typer.Option("--piece", min=1, help="Tokens that are taught at once.")] = Setting.piece,
    tasks: Annotated[int, typer.Option("--tasks", min=1, help="Of a meta-step.")] = Setting.tasks,
    order: Annotated[int, typer.Option("--order", min=1, max=2, help="Of the meta-gradient.")] = Setting.order,
    rows: Annotated[int, typer.Option("--rows", min=1, max=256, help="Requests that are served at once.")] = Setting.rows,
    context: Annotated[int, typer.Option("--context", min=1, help="Tokens of each of them, the answer included.")] = Setting.context,
    adapters: Annotated[int, typer.Option("--adapters", min=0, help="In memory while serving.")] = Setting.adapters,
    probe: Annotated[
        bool, typer.Option("--probe", help="Measure this machine for two seconds, for the time; not beside --card or --memory.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="For scripts: exit 1 if it does not fit, 2 if that cannot be told.")] = False,
    as_json: AsJson = False,
    offline: Offline = False,
) -> None:
    """Will it run? Bytes and time to serve, to adapt, to meta-train and to fine-tune in full, before any are spent.

    Reads configs and headers, never weights. Says what would have to be changed where it does not fit.
    """
    from headstart.commands import plan as command

    setting = Setting(
        precision=precision,
        rank=rank,
        target=tuple(filter(None, (target or "").split(","))),
        lowest=lowest,
        examples=examples,
        length=length,
        answer=length // 2 if answer is None else answer,
        prefix=prefix,
        checkpoint=checkpoint,
        piece=piece,
        tasks=tasks,
        order=order,
        rows=rows,
        context=context,
        adapters=adapters,
    )
    raise typer.Exit(command.run(model, card, memory, purpose, setting, probe, check, as_json))


def doctor(
    probe: Annotated[bool, typer.Option("--probe/--no-probe", help="Measure products and reading, for two seconds.")] = True,
    as_json: AsJson = False,
    offline: Offline = False,
) -> None:
    """What is wrong on this machine, and the mend; exit 1 if something will fail.

    Looks at Python and torch, the GPU and its driver, memory, disk, the shelf, other engines, ports and the hub.
    """
    from headstart.commands import doctor as command

    raise typer.Exit(command.run(probe, as_json))


def bench(
    name: Annotated[str, typer.Argument(help="A folder under `benchmarks/`; without one, the list.", show_default=False)] = "",
) -> None:
    """Run one benchmark of a source checkout and write its results there."""
    from headstart.commands import bench as command

    command.run(name)
