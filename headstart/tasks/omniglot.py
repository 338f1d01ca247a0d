"""Omniglot: 1,623 handwritten characters of 50 alphabets, 20 drawings of each by 20 people.

Source: Lake, Salakhutdinov & Tenenbaum 2015, Human-level concept learning through probabilistic program induction;
https://github.com/brendenlake/omniglot (MIT licence).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from headstart.config import home
from headstart.errors import TasksError
from headstart.tasks.download import download
from headstart.tasks.drawings import SIDE, Part, find
from headstart.tasks.episodes import Held
from headstart.tasks.images import Images, shrink
from headstart.tasks.kept import kept
from headstart.tasks.progress import Progress, silent
from headstart.tasks.splits import deal

SOURCE = "https://github.com/brendenlake/omniglot/raw/master/python"
"""The official home."""
SHA256: Mapping[str, str] = {
    "images_background": "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
    "images_evaluation": "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
}
"""Of the two zips there."""
CHARACTERS = 1623
"""In both of them together."""

_TRAINING = 1200
"""Vinyals' split trains and validates on so many of the characters in order: all of background, then of evaluation."""
_VALIDATION = frozenset({"Armenian", "Bengali", "Early_Aramaic", "Hebrew", "Mkhedruli_(Georgian)"})
"""The alphabets among them that validate."""
_RANDOM: Mapping[str, float] = {"train": 1100, "validation": 100, "test": 423}


def omniglot(
    folder: Path | None = None,
    split: Literal["vinyals", "random"] = "vinyals",
    size: int = 28,
    turns: int = 4,
    smooth: bool = True,
    progress: Progress = silent,
    source: str = SOURCE,
    sha256: Mapping[str, str] = SHA256,
) -> dict[str, Images]:
    """Split -> its characters, (1, size, size) each, ink 1 and paper 0; shrunk pixels are kept under the home folder.

    Args:
        folder: where the two official zips are, or their unpacked folders, or the same as .npz with class_map.tsv;
            None: the zips are downloaded, once.
        split: "vinyals" (1028, 172 and 423 characters) is Matching networks' and ProtoNets'; "random" (1100, 100 and 423) is
            MAML's and Reptile's. Published figures of the two are not for comparison.
        size: height and width; the drawings have 105.
        turns: 4: a character turned by right angles is four classes, in every split, as in ProtoNets; 1: it is one. Reptile turns
            training characters alone: replace(splits["test"], turns=1).
        smooth: shrink by means, which keeps thin strokes; False: by the nearest pixel, as the authors' code of MAML and ProtoNets
            in effect does (Pillow resizes bilevel images so, whatever filter is named). Smooth ones are easier for nearest neighbours.
        progress: told bytes, then drawings.
        source: another home of the zips.
        sha256: of the zips there.

    Raises:
        TasksError: nothing to read in the folder, damaged files, too few characters, or a download that failed.
        StorageError: the disk refuses a download.

    Source: Vinyals et al. 2016, section 4.1.1, as listed by Snell et al. 2017; Finn et al. 2017, section 5.2, for "random".
    """
    parts = find(_downloaded(source, sha256, progress) if folder is None else folder, tuple(SHA256))
    names = [name for part in parts for name in part.names]
    sides = _SPLITS[split](names)
    sources = [path for part in parts for path in part.sources]
    items = kept(f"omniglot-{size}-{'smooth' if smooth else 'nearest'}", sources, lambda: _shrunk(parts, size, smooth, progress))
    return {side: Images(_held([names[row] for row in rows], items[rows]), turns) for side, rows in sides.items()}


def _held(names: Sequence[str], items: Tensor) -> Held:
    """Characters of (characters, drawings, 1, size, size)."""
    return Held(tuple(names), torch.full((len(items),), items.shape[1]), items.flatten(0, 1))


def _downloaded(source: str, sha256: Mapping[str, str], progress: Progress) -> Path:
    folder = home() / "tasks" / "omniglot"
    for name in SHA256:
        download(f"{source}/{name}.zip", folder / f"{name}.zip", sha256[name], progress)
    return folder


def _shrunk(parts: Sequence[Part], size: int, smooth: bool, progress: Progress) -> Tensor:
    drawings = [part.read(progress) for part in parts]
    return torch.cat([shrink(ink.view(-1, SIDE, SIDE), size, smooth).view(*ink.shape[:2], 1, size, size) for ink in drawings])


def _vinyals(names: Sequence[str]) -> dict[str, list[int]]:
    if len(names) != CHARACTERS:
        raise TasksError(
            f"Vinyals' split is one of all {CHARACTERS:,} characters, and {len(names):,} were found: give both parts of Omniglot whole, "
            'or take the split "random".'
        )
    validation = [row for row in range(_TRAINING) if names[row].split("/")[0] in _VALIDATION]
    train = sorted(set(range(_TRAINING)) - set(validation))
    return {"train": train, "validation": validation, "test": list(range(_TRAINING, CHARACTERS))}


def _random(names: Sequence[str]) -> dict[str, list[int]]:
    dealt = deal({name: row for row, name in enumerate(names)}, _RANDOM)
    return {split: list(rows.values()) for split, rows in dealt.items()}


_SPLITS: Mapping[str, Callable[[Sequence[str]], dict[str, list[int]]]] = {"vinyals": _vinyals, "random": _random}
