"""Image classes from a user's folder, in one of three layouts.

<split>/<class>/…             a folder each for train, val (or validation, valid) and test; a class may be called train too
images/ and <split>.csv       miniImageNet's lists: columns filename, label
<class>/…                     dealt out to the splits by class

A class is any folder that holds images, or that holds nothing at all.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from headstart.errors import TasksError
from headstart.tasks.decode import Mode, decode
from headstart.tasks.episodes import Held, some
from headstart.tasks.images import Images
from headstart.tasks.kept import kept
from headstart.tasks.progress import Progress, silent
from headstart.tasks.splits import deal

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
"""How image files end; other files are passed over."""
_SPLITS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}

Listing = dict[str, list[Path]]
"""Class -> its files."""


@final
@dataclass(frozen=True)
class Files:
    """Classes whose images are read from their files each time: no memory is needed, and time is."""

    listing: Mapping[str, Sequence[Path]]
    """Class -> its files."""
    size: int
    """Height and width of what is read."""
    mode: Mode = "RGB"
    """Channels: "L" one, "RGB" three."""

    @property
    def names(self) -> tuple[str, ...]:
        """One for each class."""
        return tuple(self.listing)

    @property
    def counts(self) -> Tensor:
        """Files of each class, (classes,) int64."""
        return torch.tensor([len(paths) for paths in self.listing.values()])

    def read(self, classes: Tensor, members: Tensor) -> Tensor:
        """Images by class and number, (n, channels, size, size) uint8.

        Raises:
            TasksError: one of them is unreadable.
        """
        paths = list(self.listing.values())
        chosen = [paths[c][m] for c, m in zip(classes.tolist(), members.tolist(), strict=True)]
        return torch.stack([decode(path, str(path), self.mode, self.size) for path in chosen])


def hold(files: Files, progress: Progress = silent) -> Held:
    """The same classes in memory, a byte a channel; kept on disk too, so that the next time no image is decoded.

    Raises:
        TasksError: unreadable images, all of them named.
    """
    paths = [path for some_paths in files.listing.values() for path in some_paths]
    items = kept(f"images-{files.size}-{files.mode}", paths, lambda: _decoded(files, paths, progress))
    return Held(files.names, files.counts, items)


def read_folder(
    folder: Path,
    size: int = 84,
    mode: Mode = "RGB",
    turns: int = 1,
    in_memory: bool = True,
    progress: Progress = silent,
) -> dict[str, Images]:
    """Split -> its classes of images, of a folder in one of the three layouts of this module.

    Args:
        folder: where to look.
        size: height and width that every image is resized to.
        mode: "L" has one channel, "RGB" three.
        turns: 4: every class is four, by right angles.
        in_memory: False reads each image when it is drawn.
        progress: told images.

    Raises:
        TasksError: no such folder, no images in it, a class in two splits, a list that names absent files, unreadable images.
    """
    listings = _listings(folder) or deal(_classes(folder))
    _refuse_shared(folder, listings)
    files = {split: Files(listing, size, mode) for split, listing in listings.items()}
    return {split: Images(hold(f, progress) if in_memory else f, turns) for split, f in files.items()}


def _listings(folder: Path) -> dict[str, Listing]:
    """What the folder itself says about its splits, if anything."""
    folders = [folder / name for name in _SPLITS if (folder / name).is_dir()]
    if any(any(it.is_dir() for it in place.iterdir()) for place in folders):
        return {split: _classes(place) for split, place in _each_one(folders).items()}
    lists = [folder / f"{name}.csv" for name in _SPLITS if (folder / f"{name}.csv").is_file()]
    return {split: _listed(path) for split, path in _each_one(lists).items()}


def _each_one(places: Sequence[Path]) -> dict[str, Path]:
    """Split -> the place that is called so."""
    found: dict[str, Path] = {}
    for place in places:
        former = found.setdefault(_SPLITS[place.stem], place)
        if former != place:
            raise TasksError(f"'{former}' and '{place}' are both of the split {_SPLITS[place.stem]}: take one of them away.")
    return found


def _classes(folder: Path) -> Listing:
    """Every folder below that holds images, or nothing, by its path."""
    if not folder.is_dir():
        raise TasksError(f"There is no folder '{folder}'; one with a folder of images for each class is needed.")
    found: Listing = {}
    for place, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        images = sorted(Path(place) / name for name in files if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."))
        if Path(place) != folder and (images or not (below or files)):
            found[Path(place).relative_to(folder).as_posix()] = images
    if not any(found.values()):
        raise TasksError(f"'{folder}' holds no folder with images ({', '.join(sorted(SUFFIXES))}); a folder for each class is needed.")
    return found


def _listed(path: Path) -> Listing:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (ValueError, csv.Error) as error:
        raise TasksError(f"'{path}' cannot be read as a list in UTF-8 ({error}).") from error
    if not rows or not {"filename", "label"} <= rows[0].keys():
        got = ", ".join(map(str, rows[0])) if rows else "no rows"
        raise TasksError(f"'{path}' must have the columns filename and label, and rows; it has {got}.")
    short = [str(line) for line, row in enumerate(rows, 2) if not (row["filename"] and row["label"])]
    if short:
        raise TasksError(f"'{path}' has {len(short)} rows without a filename or a label: line {some(short)}.")
    found: Listing = {}
    for row in rows:
        found.setdefault(row["label"], []).append(path.parent / "images" / row["filename"])
    absent = [str(image) for images in found.values() for image in images if not image.is_file()]
    if absent:
        raise TasksError(f"'{path}' lists {len(absent)} files that are not there: {some(absent)}.")
    return found


def _refuse_shared(folder: Path, listings: Mapping[str, Mapping[str, object]]) -> None:
    owners: dict[str, list[str]] = {}
    for split, listing in listings.items():
        for name in listing:
            owners.setdefault(name, []).append(split)
    shared = [f"{name} ({' and '.join(splits)})" for name, splits in owners.items() if len(splits) > 1]
    if shared:
        raise TasksError(f"In '{folder}' classes are in more than one split, so tests would ask what was trained on: {some(shared)}.")


def _decoded(files: Files, paths: Sequence[Path], progress: Progress) -> Tensor:
    items = torch.empty(len(paths), len(files.mode), files.size, files.size, dtype=torch.uint8)
    bad = []
    for i, path in enumerate(paths):
        try:
            items[i] = decode(path, str(path), files.mode, files.size)
        except TasksError as error:
            bad.append(str(error))
        progress("reading images", i + 1, len(paths))
    if bad:
        raise TasksError(f"{len(bad)} of {len(paths)} images cannot be used: " + some(bad))
    return items
