"""One file from its official home: gone on with where it was cut, checked, and whole before it has its name."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from headstart import disk
from headstart.config import make_folder, offline
from headstart.errors import StorageError, TasksError
from headstart.locks import locked
from headstart.tasks.progress import Progress, silent

_PIECE = 1 << 16
_TIMEOUT = 30.0
"""Seconds without a byte before the connection counts as cut."""


def download(url: str, path: Path, sha256: str, progress: Progress = silent) -> None:
    """See that a file is there and is the right one.

    Args:
        url: its home.
        path: where it is to be; what has arrived of it waits beside it under `.part`, which one process at a time writes.
        sha256: of the whole file, in hexadecimal.
        progress: told bytes.

    Raises:
        TasksError: offline, no network, refused by the server, cut in the middle, or another file than the one wanted.
        StorageError: the disk is full or refuses.
    """
    part = path.with_name(f"{path.name}.part")
    while not _right(path, sha256):
        if offline():
            raise TasksError(f"'{path.name}' is not on this machine, and this run is to stay offline. {_by_hand(url, path)}")
        with _alone(part, lambda: progress(f"waiting for who is fetching {path.name}", 0, 0)) as still:
            # Looked at again: it may have come between the look and the lock.
            if still and not _right(path, sha256):
                _fill(url, part, path, sha256, progress)


def _right(path: Path, sha256: str) -> bool:
    return path.is_file() and disk.sha256(path) == sha256


@contextlib.contextmanager
def _alone(part: Path, waits: Callable[[], None]) -> Iterator[bool]:
    """A lock on a file, made where it is missing; and whether it still is there: who was waited for may have given it its name."""
    try:
        make_folder(part.parent)
        file = part.open("ab")
    except OSError as error:
        raise _refused(part, error) from error
    with file:
        # On a disk that knows no locks two are trusted not to meet.
        if locked(file.fileno()) is False:
            waits()
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield _is(part, file)
        finally:
            # Nothing has come: nothing is left.
            if _is(part, file) and not os.fstat(file.fileno()).st_size:
                part.unlink(missing_ok=True)


def _is(part: Path, file: IO[bytes]) -> bool:
    """Whether an open file is the one at a path."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(part.stat(), os.fstat(file.fileno()))
    return False


def _fill(url: str, part: Path, path: Path, sha256: str, progress: Progress) -> None:
    """Fetch what is missing, and give it its name."""
    _fetch(url, part, path, progress)
    got = disk.sha256(part)
    if got != sha256:
        part.unlink()
        raise TasksError(
            f"What came from {url} is not the file that was wanted: its SHA-256 is {got}, {sha256} was wanted. "
            "It was thrown away. Run it again; should this stay so, a proxy answers in the server's place or the file was changed there."
        )
    disk.settle(part, path)


def _fetch(url: str, part: Path, path: Path, progress: Progress) -> None:
    done = part.stat().st_size
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        # Nothing is left to send: all of it had arrived, and the checksum will tell.
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return
        raise TasksError(f"{url} answered {error.code} {error.reason}. {_by_hand(url, path)}") from error
    except (OSError, http.client.HTTPException) as error:
        raise TasksError(f"{url} cannot be reached ({getattr(error, 'reason', error)}). {_by_hand(url, path)}") from error
    with response:
        # A server that knows no ranges sends the whole file again.
        done = done if response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
        length = response.headers.get("Content-Length")
        whole = done + int(length) if length else 0
        for piece in _pieces(response):
            _append(part, piece, done)
            done += len(piece)
            progress(path.name, done, whole)
    if done < whole:
        raise TasksError(f"The connection was cut after {done:,} of {whole:,} bytes of {url}: run it again, and it goes on from there.")


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """What arrives; a connection that is cut just ends."""
    while True:
        try:
            piece = response.read(_PIECE)
        except (OSError, http.client.HTTPException):
            return
        if not piece:
            return
        yield piece


def _append(part: Path, piece: bytes, done: int) -> None:
    try:
        with part.open("ab" if done else "wb") as file:
            file.write(piece)
    except OSError as error:
        raise _refused(part, error) from error


def _refused(part: Path, error: OSError) -> StorageError:
    return StorageError(f"'{part}' could not be written ({error.strerror or error}); run it again, and it goes on from there.")


def _by_hand(url: str, path: Path) -> str:
    return f"Try again with a network, or fetch {url} elsewhere and put it at '{path}'."
