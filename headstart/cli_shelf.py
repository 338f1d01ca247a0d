"""`headstart adapters …`: the shelf's part of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from headstart.options import AsJson, Base, Offline

app = typer.Typer(no_args_is_help=True, help="The shelf: list, show, rename, export, share and remove adapters.")


@app.command("list")
def list_adapters(as_json: AsJson = False) -> None:
    """The adapters on the shelf, with their scores and sizes."""
    from headstart.commands import shelf

    shelf.list_all(as_json)


@app.command("show")
def show_adapter(name: Annotated[str, typer.Argument(show_default=False)], as_json: AsJson = False) -> None:
    """What is known about one adapter."""
    from headstart.commands import shelf

    shelf.show(name, as_json)


@app.command("remove")
def remove_adapter(name: Annotated[str, typer.Argument(show_default=False)], as_json: AsJson = False) -> None:
    """Take an adapter off the shelf; until the next is removed, `restore` brings it back."""
    from headstart.commands import shelf

    shelf.remove(name, as_json)


@app.command("restore")
def restore_adapter(
    name: Annotated[
        str | None, typer.Option("--name", help="What it is called from now on. Default: as before.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring back the adapter that was removed last."""
    from headstart.commands import shelf

    shelf.restore(name, as_json)


@app.command("purge")
def purge_removed(as_json: AsJson = False) -> None:
    """Let go for good what was removed last."""
    from headstart.commands import shelf

    shelf.purge(as_json)


@app.command("rename")
def rename_adapter(
    name: Annotated[str, typer.Argument(show_default=False)],
    to: Annotated[str, typer.Argument(help="What it is called from now on.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Call an adapter something else."""
    from headstart.commands import shelf

    shelf.rename(name, to, as_json)


@app.command("export")
def export_adapter(
    name: Annotated[str, typer.Argument(show_default=False)],
    to: Annotated[
        Literal["gguf", "ollama", "peft", "vllm", "merged"],
        typer.Option(
            "--to",
            help="gguf: for llama.cpp. ollama: that, and a Modelfile with template and examples. peft, vllm: a plain PEFT folder. "
            "merged: the whole model with the adapter in it.",
            show_default=False,
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="The folder to make. Default: NAME-TO here.", show_default=False)] = None,
    base: Base = None,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Write an adapter in the form that another engine reads, and say how it is used there."""
    from headstart.commands import export

    export.run(name, to, out, base, as_json)


@app.command("verify")
def verify_adapter(
    name: Annotated[str, typer.Argument(show_default=False)],
    against: Annotated[
        str,
        typer.Option(
            "--against",
            metavar="ENGINE",
            help="llama-server: on the path, or where $LLAMA_SERVER says. peft. Or the address of a running llama-server or vLLM, which "
            "has the adapter under this name; its key: $HEADSTART_ENGINE_KEY.",
            show_default=False,
        ),
    ],
    base: Base = None,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Ask another engine and this one for the likeliest next tokens under an adapter; exit 1 if they do not say the same.

    How far the bare bases differ (packing, arithmetic) is the measure of how far they may differ under the adapter.
    """
    from headstart.commands import verify

    raise typer.Exit(verify.run(name, against, base, as_json))


@app.command("push")
def push_adapter(
    name: Annotated[str, typer.Argument(show_default=False)],
    repo: Annotated[str, typer.Argument(help="owner/name; made if it is not there.", show_default=False)],
    private: Annotated[bool, typer.Option("--private", help="Make the repository private; one that is public already is refused.")] = False,
    about: Annotated[
        str | None, typer.Option("--about", help="What it does, for its card. Default: what its record says.", show_default=False)
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option("--licence", help="Of the examples and of the adapter, such as cc-by-4.0. Default: not stated.", show_default=False),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            help="Publish the examples, too, that it keeps in front of every prompt, and the system message that it was taught under.",
        ),
    ] = False,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Publish an adapter on the Hugging Face Hub, in one commit, with its card filled in.

    An adapter that keeps your examples in front of every prompt needs --yes: they are published with it, as it answers worse
    without. Paths of this machine are not published. Log in with `hf auth login`, or set HF_TOKEN.
    """
    from headstart.adapters.push import Wish
    from headstart.commands import share

    share.push(name, repo, Wish(about, licence, private, yes), as_json)


@app.command("pull")
def pull_adapter(
    repo: Annotated[str, typer.Argument(help="owner/name on the hub.", show_default=False)],
    name: Annotated[
        str | None, typer.Option("--name", help="What it is called on the shelf. Default: as there.", show_default=False)
    ] = None,
    revision: Annotated[
        str | None, typer.Option("--revision", help="A branch, a tag or a commit. Default: the newest.", show_default=False)
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of an adapter of this name.")] = False,
    base: Annotated[
        str | None,
        typer.Option("--base", help="Refuse it if it was not made for this base. Default: seen when it is used.", show_default=False),
    ] = None,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Fetch an adapter from the Hugging Face Hub: one of headstart's, or any plain LoRA of PEFT's.

    Only its five files are fetched, weights as safetensors alone; it is looked through before it stands on the shelf.
    """
    from headstart.commands import share

    share.pull(repo, name, revision, replace, base, as_json)
