"""`headstart adapters …`: the shelf's part of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from headstart.options import AsJson, Base, Offline

app = typer.Typer(no_args_is_help=True, help="The shelf: list, show, export and remove adapters.")


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
    """Take an adapter off the shelf, for good."""
    from headstart.commands import shelf

    shelf.remove(name, as_json)


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
        Literal["llama-server", "peft"],
        typer.Option("--against", help="llama-server: on the path, or where $LLAMA_SERVER says.", show_default=False),
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
