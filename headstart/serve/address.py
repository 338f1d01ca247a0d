"""Where the server of this home folder answers, so that its page can be found; what a killed one has left is told from what is true."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx

from headstart import disk, locks
from headstart.config import home
from headstart.errors import StorageError

_PATIENCE = 1.0
"""Seconds for whoever looks at a note just when it is made."""


def file() -> Path:
    """Where it is noted."""
    return home() / "serve" / "address"


@contextlib.contextmanager
def noted(address: str) -> Iterator[None]:
    """Written down and locked for this block; a disk that refuses costs no more than that nobody finds it."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(StorageError, OSError):
            disk.write_text(file(), address + "\n")
            held.enter_context(locks.held(file(), _PATIENCE))
        try:
            yield
        finally:
            _forget(address)


def _forget(address: str) -> None:
    """Let it go, unless another server has written its own."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if file().read_text(encoding="utf-8").strip() == address:
            file().unlink()


def running() -> str | None:
    """The address of a server that answers there now, with the page; None: there is none.

    What nobody holds is a killed server's: whoever listens there now may be another user, whose page would ask for the key.
    """
    try:
        with locks.held(file()) as nobodys:
            address = file().read_text(encoding="utf-8").strip()
        return address if not nobodys and "headstart" in httpx.get(f"{address}/", timeout=2, trust_env=False).text else None
    except (OSError, UnicodeDecodeError, httpx.HTTPError, httpx.InvalidURL):
        return None
