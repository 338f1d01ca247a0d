"""Omniglot's two parts on disk, in any of three forms: the official zip, its unpacked folder, or one array as .npz."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, final

import torch
from torch import Tensor

from headstart.errors import TasksError
from headstart.tasks.decode import decode
from headstart.tasks.episodes import some
from headstart.tasks.progress import Progress

SIDE = 105
"""Height and width of a drawing."""
DRAWINGS = 20
"""Of each character."""
_PAPER = 128
"""Paper is white: from here up."""
_CLASS_MAP = "class_map.tsv"
_BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged archive, array or list raises."""

E = TypeVar("E")


@final
@dataclass(frozen=True)
class Part:
    """One part of Omniglot, not read yet."""

    names: tuple[str, ...]
    """alphabet/character, in order"""
    sources: tuple[Path, ...]
    """the files that it is read from"""
    read: Callable[[Progress], Tensor]
    """its ink, (characters, DRAWINGS, SIDE, SIDE) bool"""


def find(folder: Path, names: Sequence[str]) -> list[Part]:
    """The parts with these names in a folder, each in whichever form is there.

    Raises:
        TasksError: a part is in no form there, or is damaged or incomplete.
    """
    parts, absent = [], []
    for name in names:
        forms = {folder / name: _unpacked, folder / f"{name}.zip": _zipped, folder / f"{name}.npz": _array}
        there = [(path, read) for path, read in forms.items() if path.exists()]
        if there:
            path, read = there[0]
            parts.append(read(path))
        else:
            absent.append(name)
    if absent:
        raise TasksError(
            f"'{folder}' does not hold {' and '.join(absent)}: as .zip, unpacked, or as .npz with {_CLASS_MAP}, they are needed."
        )
    return parts


def _unpacked(path: Path) -> Part:
    files = sorted(path.glob("*/*/*.png"))
    drawings = _grouped(path, files, lambda file: file.parts)
    return Part(tuple(drawings), tuple(files), lambda progress: _decoded(path, drawings, lambda file: file.read_bytes(), progress))


def _zipped(path: Path) -> Part:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.namelist() if entry.endswith(".png") and not entry.startswith("__MACOSX")]
    except _BROKEN as error:
        raise _damaged(path, error) from error
    drawings = _grouped(path, entries, lambda entry: entry.split("/"))

    def read(progress: Progress) -> Tensor:
        try:
            with zipfile.ZipFile(path) as archive:
                return _decoded(path, drawings, archive.read, progress)
        except _BROKEN as error:
            raise _damaged(path, error) from error

    return Part(tuple(drawings), (path,), read)


def _array(path: Path) -> Part:
    class_map = path.parent / _CLASS_MAP
    try:
        rows = [line.split("\t") for line in class_map.read_text(encoding="utf-8").splitlines()]
        listed = [f"{alphabet}/{character}" for _, part, alphabet, character in rows if part == path.stem]
    except _BROKEN as error:
        raise _damaged(class_map, error) from error
    order = sorted(range(len(listed)), key=lambda i: listed[i].split("/"))

    def read(progress: Progress) -> Tensor:
        ink = _loaded(path, len(listed))[order]
        progress("reading drawings", len(listed), len(listed))
        return ink

    return Part(tuple(listed[i] for i in order), (path, class_map), read)


def _loaded(path: Path, characters: int) -> Tensor:
    """The ink in an array whose `labels` number the class map's lines of this part."""
    try:
        import numpy as np
    except ImportError as error:
        raise TasksError("Reading .npz files needs NumPy, which is not installed: pip install 'headstart[images]'.") from error
    try:
        with np.load(path, allow_pickle=False) as arrays:
            paper, labels = torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"])
        if paper.shape != (characters, DRAWINGS, SIDE, SIDE) or paper.dtype != torch.bool:
            raise ValueError(f"its images are {tuple(paper.shape)} {paper.dtype}; {(characters, DRAWINGS, SIDE, SIDE)} bools are wanted")
        return ~paper[labels[:, 0].argsort()]
    except _BROKEN as error:
        raise _damaged(path, error) from error


def _grouped(path: Path, entries: Iterable[E], steps: Callable[[E], Sequence[str]]) -> dict[str, list[E]]:
    """Drawings by alphabet/character, both in order, as the last three steps of an entry's path tell."""
    found: dict[str, list[E]] = {}
    for entry in sorted(entries, key=lambda entry: tuple(steps(entry)[-3:])):
        found.setdefault("/".join(steps(entry)[-3:-1]), []).append(entry)
    uneven = [f"{name} ({len(drawings)})" for name, drawings in found.items() if len(drawings) != DRAWINGS]
    if uneven or not found:
        found_instead = some(uneven) or "there are none"
        raise TasksError(f"'{path}' is not whole: {DRAWINGS} drawings a character, alphabet/character/*.png, are wanted; {found_instead}.")
    return found


def _decoded(path: Path, drawings: dict[str, list[E]], open_: Callable[[E], bytes], progress: Progress) -> Tensor:
    ink = torch.empty(len(drawings), DRAWINGS, SIDE, SIDE, dtype=torch.bool)
    for i, entries in enumerate(drawings.values()):
        for j, entry in enumerate(entries):
            grey = decode(open_(entry), f"{path}: {entry}", "L")
            if grey.shape != (1, SIDE, SIDE):
                raise TasksError(
                    f"'{path}: {entry}' is {grey.shape[1]} by {grey.shape[2]} pixels; Omniglot's drawings are {SIDE} by {SIDE}."
                )
            ink[i, j] = grey[0] < _PAPER
        progress("reading drawings", i + 1, len(drawings))
    return ink


def _damaged(path: Path, error: Exception) -> TasksError:
    return TasksError(f"'{path}' cannot be read ({error}): it is damaged, or not Omniglot's. Fetch it again.")
