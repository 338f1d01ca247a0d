"""`headstart studio`: the page in a browser, over the server that runs, or over one that is started for it."""

from __future__ import annotations

import threading
import time
import webbrowser

import httpx

from headstart import screen
from headstart.commands import serve
from headstart.serve import address

HOST, SECONDS = "127.0.0.1", 120.0
"""Where a server is started, and how long it is waited for until the browser is opened."""


def run(port: int, key: str | None, base_name: str | None, precision: str | None, how: serve.Answering, opens: bool) -> None:
    """Find the page or serve it, say where it is, open it.

    Args:
        port: of a server that is started; 0: any that is free.
        key: as `serve` has it.
        base_name: as `serve` has it; a server that runs is taken whatever its base.
        precision: as `serve` has it.
        how: as `serve` has it.
        opens: whether a browser is opened.

    Raises:
        See `serve.run`.
    """
    there = address.running()
    if there is not None:
        _show(there, opens)
        return
    serve.run(
        HOST,
        port,
        key,
        base_name,
        precision,
        how,
        lambda there: threading.Thread(target=_when_up, args=(there, opens), daemon=True).start(),
    )


def _show(there: str, opens: bool) -> None:
    screen.say(f"{there}/")
    if opens and not webbrowser.open(f"{there}/"):
        screen.warn("No browser could be opened here: open that address in one.")


def _when_up(there: str, opens: bool) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{there}/health", timeout=5, trust_env=False).status_code == httpx.codes.OK:
                return _show(there, opens)
        except httpx.HTTPError:
            time.sleep(0.1)
    return None
