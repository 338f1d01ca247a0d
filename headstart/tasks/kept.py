"""What took long to make out of files, kept under the home folder until one of those files changes."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from headstart.config import home
from headstart.disk import discard, marks, new_folder, sweep
from headstart.errors import StorageError

_SOURCES = "sources.json"
_FORM = 2
"""To be raised when the same files are made into something else than before."""


def kept(what: str, sources: Iterable[Path], make: Callable[[], Tensor]) -> Tensor:
    """A tensor made from files, or the one that an earlier run made from the same files.

    Args:
        what: names the making, settings included; goes into a folder's name.
        sources: the files; where what `marks` says of one of them is another, the tensor is made again.
        make: makes it.
    """
    sources = list(sources)
    facts = [marks(path) for path in sources]
    key = hashlib.sha256(json.dumps([_FORM, facts]).encode()).hexdigest()[:16]
    folder = home() / "tasks" / f"{what}-{key}"
    # A file that is absent or was damaged is made again.
    with contextlib.suppress(OSError, SafetensorError, KeyError):
        return load_file(folder / "made.safetensors")["made"]
    made = make()
    # Keeping only saves time: a home that refuses costs a second making.
    with contextlib.suppress(StorageError, OSError):
        sweep(folder.parent)
        with new_folder(folder, replace=True) as pending:
            save_file({"made": made}, pending / "made.safetensors")
            (pending / _SOURCES).write_text(json.dumps([_FORM, *facts]))
        for former in folder.parent.glob(f"{what}-*"):
            if former != folder and not _stands(former):
                discard(former)
    return made


def _stands(folder: Path) -> bool:
    """Whether the files that what is kept there was made from are still as they were: else it never comes to use again."""
    try:
        form, *facts = json.loads((folder / _SOURCES).read_text())
        return form == _FORM and all(marks(Path(path)) == (path, *rest) for path, *rest in facts)
    except (OSError, ValueError, TypeError):
        return False
