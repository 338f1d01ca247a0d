"""Where the server of this home folder answers, so that its page can be found; what is written here may be out of date."""

from __future__ import annotations

import contextlib
from pathlib import Path

import httpx

from headstart import disk
from headstart.config import home
from headstart.errors import StorageError


def file() -> Path:
    """Where it is noted."""
    return home() / "serve" / "address"


def note(address: str) -> None:
    """Write it down; a disk that refuses costs no more than that nobody finds it."""
    with contextlib.suppress(StorageError):
        disk.write_text(file(), address + "\n")


def forget(address: str) -> None:
    """Let it go, unless another server has written its own."""
    with contextlib.suppress(OSError):
        if file().read_text(encoding="utf-8").strip() == address:
            file().unlink()


def running() -> str | None:
    """The address of a server that answers there now, with the page; None: there is none."""
    try:
        address = file().read_text(encoding="utf-8").strip()
        return address if "headstart" in httpx.get(f"{address}/", timeout=2, trust_env=False).text else None
    except (OSError, UnicodeDecodeError, httpx.HTTPError, httpx.InvalidURL):
        return None
