"""A folder that others may replace meanwhile, read as one: all of it before, or all of it after."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from headstart.errors import AdapterRefused, HeadstartError

Stamp = tuple[tuple[str, int, int, int, int], ...]
"""Name, inode, bytes, and the times of content and of change in nanoseconds of every file; that of content can be set back."""
_TRIES = 3
"""Readings of a folder that changes meanwhile."""
T = TypeVar("T")


def stamp(folder: Path) -> Stamp:
    """What changes when a file of a folder is replaced, written to or touched; empty where the folder cannot be read."""
    try:
        with os.scandir(folder) as found:
            files = [(it.name, it.stat()) for it in found if it.is_file()]
    except OSError:
        return ()
    return tuple(sorted((name, it.st_ino, it.st_size, it.st_mtime_ns, it.st_ctime_ns) for name, it in files))


def still(folder: Path, read: Callable[[Stamp], T]) -> T:
    """What is read of an adapter's folder that is the same before and after: never one's weights beside another's examples.

    Args:
        folder: the adapter's.
        read: is given the stamp, and may be called again.

    Raises:
        AdapterRefused: the folder changes all the while.
        HeadstartError: as `read` does of a folder that stays the same.
    """
    for _ in range(_TRIES):
        now = stamp(folder)
        try:
            found = read(now)
        except (OSError, HeadstartError):
            if stamp(folder) == now:
                raise
        else:
            if stamp(folder) == now:
                return found
    raise AdapterRefused(f"'{folder.name}' is being written: ask again when all of it is there.")
