"""`headstart serve` and `headstart studio`: one base and every adapter, over HTTP and in a browser."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from headstart.options import Base, Offline, Precision
from headstart.terms import PORT, SEATS


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; any but this machine's own needs a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = PORT,
    api_key: Annotated[
        str | None, typer.Option(help="What clients have to send. Default: $HEADSTART_API_KEY, which no list of processes shows, or none.")
    ] = None,
    base: Base = None,
    precision: Precision = None,
    engine: Annotated[
        Literal["headstart", "llama-server", "vllm"],
        typer.Option(
            help="Who answers: our own engine; a llama-server of ours (on the path, or where $LLAMA_SERVER says); or a running vLLM."
        ),
    ] = "headstart",
    url: Annotated[str | None, typer.Option(help="Where that vLLM listens; its key: $HEADSTART_ENGINE_KEY.", show_default=False)] = None,
    rows: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Requests answered at once; others wait. Default: 16, with llama-server 4.", show_default=False),
    ] = None,
    budget: Annotated[int, typer.Option(min=1, help="Megabytes that the bank of adapters may take; the longest unused go first.")] = SEATS
    // 1_000_000,
    fast: Annotated[
        bool | None,
        typer.Option("--fast/--no-fast", help="Keep the base's weights a second time in the CPU's own order. Default: if memory is ample."),
    ] = None,
    offline: Offline = False,
) -> None:
    """Serve the base and every adapter on the shelf, over OpenAI's API: one copy of the base, an adapter for each request.

    Adapters are taught over the same API, by OpenAI's files and fine-tuning jobs. A page at `/` does all of it in a browser.
    """
    from headstart.commands import serve as command

    command.run(host, port, api_key, base, precision, command.Answering(engine, url, rows, budget, fast))


def studio(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of a server that is started for it; 0: any that is free.")] = 0,
    api_key: Annotated[
        str | None, typer.Option(help="That the page asks for. Default: $HEADSTART_API_KEY, which no list of processes shows, or none.")
    ] = None,
    base: Base = None,
    precision: Precision = None,
    opens: Annotated[bool, typer.Option("--open/--no-open", help="Open it in a browser, or say where it is and no more.")] = True,
    offline: Offline = False,
) -> None:
    """Teach, compare and switch adapters in a web page: paste ten examples, watch, read the report, ask.

    Opens the page of the `headstart serve` that runs, or starts one and serves until it is stopped. Nothing leaves this machine.
    """
    from headstart.commands import serve as server
    from headstart.commands import studio as command

    command.run(port, api_key, base, precision, server.Answering(), opens)
