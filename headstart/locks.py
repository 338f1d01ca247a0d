"""Locks of folders and files, which the kernel takes back with the process that holds them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

_LOOK = 0.005
"""Seconds between tries."""


@contextlib.contextmanager
def held(path: Path, patience: float = 0.0) -> Iterator[bool | None]:
    """A lock on what is there already, waited for so many seconds; whether it is ours, None where the disk knows no locks."""
    handle, deadline = os.open(path, os.O_RDONLY), time.monotonic() + patience
    try:
        while (lock := locked(handle)) is False and time.monotonic() < deadline:
            time.sleep(_LOOK)
        yield lock
    finally:
        os.close(handle)


def locked(handle: int) -> bool | None:
    """Whether it is ours now; None: this disk knows no locks, as most that are shared over a network know none of folders."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
