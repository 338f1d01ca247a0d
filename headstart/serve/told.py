"""What happens to a job, as server-sent events: each as it comes, until the job has ended.

A reader that was cut off says which it had last (`Last-Event-ID`), and goes on behind it; so it does after the server was begun anew.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import anyio
from anyio.to_thread import run_sync

from headstart.serve.answers import event
from headstart.serve.ledger import Event, Job, Ledger

LOOK = 0.15
"""Seconds between looks at the ledger."""
QUIET = 10.0
"""Seconds after which a reader is told that there is nothing, so that one who has left is noticed."""
NAME = "ftevent-"


async def told(
    ledger: Ledger,
    job: str,
    last: int,
    shown: tuple[Callable[[Event], Mapping[str, Any]], Callable[[Job], Mapping[str, Any]]],
    stopping: Callable[[], bool],
) -> AsyncIterator[bytes]:
    """The events of a job, and last `end` with the job itself.

    Args:
        ledger: where they are noted.
        job: its id.
        last: the number of the event that the reader had last; 0: none.
        shown: an event, and a job, as they are told.
        stopping: whether the server goes down; then the stream ends without `end`.
    """
    quiet = time.monotonic()
    while not stopping():
        # In this order: what is noted before the job's end is told before it.
        now = await run_sync(ledger.job, job)
        for it in await run_sync(ledger.since, job, last):
            yield event(shown[0](it), f"{NAME}{it.number}")
            last, quiet = it.number, time.monotonic()
        if now is None:
            return
        if now.finished is not None:
            yield event(shown[1](now), kind="end")
            return
        if time.monotonic() > quiet + QUIET:
            yield b": nothing yet\n\n"
            quiet = time.monotonic()
        await anyio.sleep(LOOK)


def number_of(name: str) -> int | None:
    """Of an event's id; None: it is none."""
    digits = name.removeprefix(NAME)
    return int(digits) if name.startswith(NAME) and digits.isascii() and digits.isdigit() and len(digits) < 19 else None
