"""What was taken off a shelf last, kept in a hidden folder beside the adapters until the next removal or until it is purged.

Every step is one rename or the removal of what is hidden already, so a kill at any moment leaves the shelf valid.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import final

from headstart import disk
from headstart.adapters.store import Shelf
from headstart.errors import NameRefused, StorageError

HIDDEN = ".removed-"
"""How the folder begins; then the nanosecond of the removal, and the name."""


@final
@dataclass(frozen=True)
class Removed:
    """An adapter that can be had back."""

    name: str
    when: int
    """Seconds since 1970."""
    path: Path


def remove(shelf: Shelf, name: str) -> None:
    """Take an adapter off the shelf; what was taken off before it is gone for good.

    Raises:
        NameRefused: there is none of that name.
        StorageError: it could not be removed.
    """
    shelf.mend(name)
    # Looked for before: what others take off meanwhile is theirs, and they have been told that it can be had back.
    path, formers = shelf.known(name), _all(shelf)
    now = shelf.root / f"{HIDDEN}{time.time_ns()}-{name}"
    try:
        path.rename(now)
    except FileNotFoundError as error:
        raise NameRefused(f"There is no adapter '{name}' any more.") from error
    except OSError as error:
        raise StorageError(f"'{name}' could not be removed ({error.strerror}); it is still there.") from error
    for former in formers:
        disk.discard(former.path)


def removed(shelf: Shelf) -> Removed | None:
    """What was taken off last; None: nothing, or it was purged."""
    return max(_all(shelf), key=lambda it: it.path.name, default=None)


def restore(shelf: Shelf, name: str | None = None, last: Removed | None = None) -> str:
    """Put it back.

    Args:
        shelf: from which it was taken.
        name: what it is called from now on; None: as before.
        last: what is meant; None: whatever was taken off last.

    Returns:
        The name.

    Raises:
        NameRefused: there is nothing to put back, or another has that name now.
        StorageError: it could not be put back.
    """
    last = last or removed(shelf)
    if last is None:
        raise NameRefused("Nothing was removed that could be put back: it was purged, or put back already.")
    path = shelf.named(name) if name else shelf.path(last.name)
    shelf.mend(path.name)
    if shelf.taken(path.name):
        raise NameRefused(f"There is an adapter '{path.name}' by now: put it back under another name.")
    try:
        last.path.rename(path)
    except FileNotFoundError as error:
        raise NameRefused(f"'{last.name}' cannot be put back any more: it was purged, or put back already.") from error
    except OSError as error:
        raise StorageError(f"'{last.name}' could not be put back ({error.strerror}); it can still be had.") from error
    return path.name


def purge(shelf: Shelf, last: Removed | None = None) -> list[str]:
    """Let go for good what was taken off; the names of what went.

    Args:
        shelf: from which it was taken.
        last: what is meant: nothing that was taken off later goes; None: all of it.

    Raises:
        StorageError: it could not be removed.
    """
    gone = [it for it in _all(shelf) if last is None or it.path.name <= last.path.name]
    for it in gone:
        disk.discard(it.path)
    return [it.name for it in gone]


def _all(shelf: Shelf) -> list[Removed]:
    """One; more where a kill came between a removal and the end of the one before, or several were removed at once."""
    found = []
    for path in shelf.root.glob(f"{HIDDEN}*") if shelf.root.is_dir() else ():
        when, _, name = path.name.removeprefix(HIDDEN).partition("-")
        if when.isascii() and when.isdigit() and name and os.path.isdir(path):
            found.append(Removed(name, int(when) // 10**9, path))
    return found
