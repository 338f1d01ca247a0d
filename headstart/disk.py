"""Writes that happen whole or not at all, and the hashes that tell whether two files are the same."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from safetensors import SafetensorError

from headstart.config import home, make_folder
from headstart.errors import StorageError
from headstart.locks import held, locked

PENDING = ".pending-"
"""How a folder or file begins that is being written; nobody reads it, and `sweep` removes it. Its writer holds a lock on it, which
the kernel takes back with the process: a process's number says nothing to another container or host that shares the folder."""
FORMER = ".former-"
"""How the folder begins that a replacement set aside; `sweep` puts it back if the replacement never came. The folder that holds both is
locked meanwhile."""
PATIENCE = 60.0
"""Seconds for which a replacement waits for others in the same folder; each takes no time."""
OLD = 3600.0
"""Seconds after which what was left is taken for a killed writer's, on disks that know no locks."""


@contextlib.contextmanager
def new_folder(final: Path, replace: bool = False) -> Iterator[Path]:
    """A folder to fill; it appears at `final`, whole and on disk, when the block ends without error.

    What a kill left of an earlier try at the same place goes first: it may lie among others' things, where nobody sweeps.

    Args:
        final: where the folder is to be.
        replace: take the place of what stands there, which is kept until the new one stands.

    Raises:
        StorageError: the disk is full or refuses; nothing at `final` has changed.
    """
    try:
        _sweep(final.parent.glob(f"{PENDING}{'[0-9a-f]' * 12}-{glob.escape(final.name)}"))
        with _pending(final, make_folder) as pending:
            yield pending
            for path in sorted(pending.rglob("*")):
                if path.is_file():
                    # safetensors writes for its user alone; the folder has what the umask gives.
                    path.chmod(pending.stat().st_mode & 0o666)
                _sync(path)
            _sync(pending)
            with held(final.parent, PATIENCE) as lock:
                if lock is False:
                    raise StorageError(f"'{final}' was not written: something has held '{final.parent}' locked for {PATIENCE:.0f} seconds.")
                _move(pending, final, replace)
    except (OSError, SafetensorError) as error:
        raise StorageError(_why(error, final)) from error
    _sync_names(final.parent)


def try_folder(final: Path) -> None:
    """See beforehand that a folder can be made at a path; nothing is left of it.

    Raises:
        StorageError: the disk refuses.
    """
    try:
        with _pending(final, make_folder):
            pass
    except OSError as error:
        raise StorageError(_why(error, final)) from error


def sweep(root: Path, alone: bool = False) -> None:
    """Mend what a kill in the middle of `new_folder` or `write_text` may have left in a folder: nothing half-done stays.

    Who is `alone` in writing there has back at once what was set aside, also where a disk knows no locks of folders. What cannot be
    mended, in a folder that may only be read, does no harm where it is.
    """
    with contextlib.suppress(OSError), held(root) as lock:
        for former in root.glob(f"{FORMER}*"):
            with contextlib.suppress(OSError):
                _put_back(former, root / former.name.removeprefix(FORMER), alone or lock)
    _sweep(root.glob(f"{PENDING}*"))


def _sweep(left: Iterable[Path]) -> None:
    """Remove what was being written, but for what still is."""
    for pending in left:
        with contextlib.suppress(OSError), held(pending) as lock:
            if _left(pending, lock):
                _remove(pending)


def former_of(final: Path) -> Path:
    """Where a replacement sets aside what was at a path."""
    return final.with_name(FORMER + final.name)


def drop_former(final: Path) -> None:
    """What a replacement that is whole has set aside, and did not come to remove, goes."""
    shutil.rmtree(former_of(final), ignore_errors=True)


def discard(path: Path) -> None:
    """Remove a folder; it is gone at once and never half there. One that another has removed meanwhile is gone too.

    Raises:
        StorageError: it may not be removed.
    """
    doomed = _beside(path)
    try:
        path.rename(doomed)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"'{path}' could not be removed ({error.strerror}).") from error
    shutil.rmtree(doomed, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a small file, whole or not at all.

    Raises:
        StorageError: the disk is full or refuses.
    """
    try:
        make_folder(path.parent)
        with _pending(path, Path.touch) as pending:
            pending.write_text(text, encoding="utf-8")
            _sync(pending)
            os.replace(pending, path)
    except OSError as error:
        raise StorageError(_why(error, path)) from error


def settle(part: Path, final: Path) -> None:
    """Give a file that is complete its name, once it is on disk; what stood there is replaced.

    Raises:
        StorageError: the disk refuses; nothing at `final` has changed.
    """
    try:
        _sync(part)
        os.replace(part, final)
    except OSError as error:
        raise StorageError(_why(error, final)) from error
    _sync_names(final.parent)


def sha256(path: Path, index: Path | None = None) -> str:
    """SHA-256 of a file's bytes.

    Args:
        path: the file.
        index: a JSON file that remembers hashes by what `marks` says, so that gigabytes are read once.
    """
    key = "|".join(map(str, marks(path)))
    known = _read_index(index)
    if key not in known:
        with path.open("rb") as file:
            known[key] = hashlib.file_digest(file, "sha256").hexdigest()
        if index is not None:
            # The index only saves time: a disk that refuses it costs a second reading.
            with contextlib.suppress(StorageError):
                write_text(index, json.dumps(known, indent=0))
    return known[key]


def marks(path: Path) -> tuple[str, int, int, int]:
    """What tells a file from what it was before."""
    path = path.resolve()
    stat = path.stat()
    # Archives and copies set the time of content back, and nobody can set that of change, which some disks do not keep.
    return str(path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; what others remove meanwhile is passed over."""
    files = (Path(folder, name) for folder, _, names in os.walk(path) for name in names) if path.is_dir() else (path,)
    total = 0
    for file in files:
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total


def _beside(final: Path) -> Path:
    """The name of a sibling that nobody else writes."""
    return final.with_name(f"{PENDING}{uuid.uuid4().hex[:12]}-{final.name}")


@contextlib.contextmanager
def _pending(final: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """A sibling to write, locked as long as the block runs and gone at its end."""
    path, handle = _claimed(final, make)
    try:
        yield path
    finally:
        _remove(path)
        os.close(handle)


def _claimed(final: Path, make: Callable[[Path], None]) -> tuple[Path, int]:
    """A new sibling and the lock on it."""
    while True:
        path = _beside(final)
        make(path)
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(path, os.O_RDONLY)
            if locked(handle) is not False and path.exists():
                return path, handle
            os.close(handle)
        # A sweep came between the making and the lock.


def _left(path: Path, lock: bool | None) -> bool:
    """Whether nobody is at it any more: writing, and moving it, changes the times of the files."""
    if lock is not None:
        return lock
    return time.time() - max(it.lstat().st_ctime for it in (path, *path.rglob("*"))) > OLD


def _put_back(former: Path, final: Path, lock: bool | None) -> None:
    if not _left(former, lock):
        return
    if final.exists():
        shutil.rmtree(former, ignore_errors=True)
    else:
        os.replace(former, final)


def _remove(path: Path) -> None:
    """A folder or a file, as far as that may be."""
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.unlink()


def _read_index(index: Path | None) -> dict[str, str]:
    if index is None or not index.exists():
        return {}
    try:
        known = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _move(pending: Path, final: Path, replace: bool) -> None:
    if not replace or not final.exists():
        os.rename(pending, final)
        return
    former = former_of(final)
    shutil.rmtree(former, ignore_errors=True)
    os.rename(final, former)
    try:
        os.rename(pending, final)
    finally:
        # Ctrl-C may come before the new one stands, or after.
        _put_back(former, final, lock=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_names(folder: Path) -> None:
    """Have the names in a folder outlive a power cut. What a disk refuses here changes nothing any more: the new one stands."""
    with contextlib.suppress(OSError):
        _sync(folder)


def _why(error: OSError | SafetensorError, path: Path) -> str:
    # safetensors tells the system's error number in its text alone.
    found = re.search(r"os error (\d+)", str(error))
    code = error.errno if isinstance(error, OSError) else int(found[1]) if found else None
    if code in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full: '{path}' was not written, and what was there before is unchanged. Free some space and run it again."
    if code in (errno.ENOTEMPTY, errno.EEXIST) and path.exists():
        return f"'{path}' was not written: something has that name by now, and is unchanged. Give another name, or remove that one first."
    mend = " Point HEADSTART_HOME to a folder that can be written." if home() in path.parents else ""
    return f"'{path}' could not be written ({os.strerror(code) if code else error}); what was there before is unchanged.{mend}"
