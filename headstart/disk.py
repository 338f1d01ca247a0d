"""Writes that happen whole or not at all, and the hashes that tell whether two files are the same."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from headstart.errors import StorageError

PENDING = ".pending-"
"""How a folder or file begins that is being written; nobody reads it, and `sweep` removes it."""
FORMER = ".former-"
"""How the folder begins that a replacement set aside; `sweep` puts it back if the replacement never came. It does not say whose it is:
a container's processes have the same numbers when it is begun again, and what a kill left there must come back all the same."""


@contextlib.contextmanager
def new_folder(final: Path, replace: bool = False) -> Iterator[Path]:
    """A folder to fill; it appears at `final`, whole and on disk, when the block ends without error.

    Args:
        final: where the folder is to be.
        replace: take the place of what stands there, which is kept until the new one stands.

    Raises:
        StorageError: the disk is full or refuses; nothing at `final` has changed.
    """
    pending = _pending(final)
    try:
        pending.mkdir(parents=True)
        yield pending
        for path in sorted(pending.rglob("*")):
            _sync(path)
        _sync(pending)
        _move(pending, final, replace)
        _sync(final.parent)
    except (OSError, SafetensorError) as error:
        raise StorageError(_why(error, final)) from error
    finally:
        shutil.rmtree(pending, ignore_errors=True)


def sweep(root: Path) -> None:
    """Mend what a kill in the middle of `new_folder` or `write_text` may have left in a folder: nothing half-done stays."""
    for former in root.glob(f"{FORMER}*"):
        final = root / former.name.removeprefix(FORMER)
        if final.exists():
            shutil.rmtree(former, ignore_errors=True)
        else:
            os.replace(former, final)
    for pending in root.glob(f"{PENDING}*"):
        process = pending.name.removeprefix(PENDING).partition("-")[0]
        if process.isdecimal() and not _alive(int(process)):
            # What cannot be removed does no harm where it is.
            with contextlib.suppress(OSError):
                shutil.rmtree(pending) if pending.is_dir() else pending.unlink()


def discard(path: Path) -> None:
    """Remove a folder; it is gone at once and never half there.

    Raises:
        StorageError: it may not be removed.
    """
    doomed = _pending(path)
    try:
        path.rename(doomed)
    except OSError as error:
        raise StorageError(f"'{path}' could not be removed ({error.strerror}).") from error
    shutil.rmtree(doomed, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a small file, whole or not at all.

    Raises:
        StorageError: the disk is full or refuses.
    """
    pending = _pending(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pending.write_text(text, encoding="utf-8")
        _sync(pending)
        os.replace(pending, path)
    except OSError as error:
        raise StorageError(_why(error, path)) from error
    finally:
        with contextlib.suppress(OSError):
            pending.unlink()


def settle(part: Path, final: Path) -> None:
    """Give a file that is complete its name, once it is on disk; what stood there is replaced.

    Raises:
        StorageError: the disk refuses; nothing at `final` has changed.
    """
    try:
        _sync(part)
        os.replace(part, final)
        _sync(final.parent)
    except OSError as error:
        raise StorageError(_why(error, final)) from error


def sha256(path: Path, index: Path | None = None) -> str:
    """SHA-256 of a file's bytes.

    Args:
        path: the file.
        index: a JSON file that remembers hashes by path, size and time of change, so that gigabytes are read once.
    """
    stat = path.stat()
    key = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
    known = _read_index(index)
    if key not in known:
        with path.open("rb") as file:
            known[key] = hashlib.file_digest(file, "sha256").hexdigest()
        if index is not None:
            # The index only saves time: a disk that refuses it costs a second reading.
            with contextlib.suppress(StorageError):
                write_text(index, json.dumps(known, indent=0))
    return known[key]


def size(path: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def _pending(final: Path) -> Path:
    """A sibling that no other process writes, named by the process that may still be at it."""
    return final.with_name(f"{PENDING}{os.getpid()}-{uuid.uuid4().hex[:8]}-{final.name}")


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
    former = final.with_name(FORMER + final.name)
    shutil.rmtree(former, ignore_errors=True)
    os.rename(final, former)
    try:
        os.rename(pending, final)
    except BaseException:
        os.rename(former, final)
        raise
    shutil.rmtree(former, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _why(error: OSError | SafetensorError, path: Path) -> str:
    # safetensors tells the system's error number in its text alone.
    found = re.search(r"os error (\d+)", str(error))
    code = error.errno if isinstance(error, OSError) else int(found[1]) if found else None
    if code in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full: '{path}' was not written, and what was there before is unchanged. Free some space and run it again."
    return f"'{path}' could not be written ({os.strerror(code) if code else error}); what was there before is unchanged."
