"""`[tasks]`: where tasks come from. Training may ask for more than evaluation does, of the same classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, final

import torch

from headstart.episode import Episodes, Tasks
from headstart.settings import Key, below, keys, refuse
from headstart.tasks.episodes import Classes, ClassTasks
from headstart.tasks.folder import read_folder
from headstart.tasks.jitter import Jittered
from headstart.tasks.omniglot import omniglot
from headstart.tasks.progress import Progress
from headstart.tasks.sine import Sine

Sources = tuple[Tasks, Tasks]
"""For training, and for validation and test."""


@final
@dataclass(frozen=True)
class Kind:
    """One kind of source."""

    keys: tuple[Key, ...]
    """What may be set."""
    net: str
    """The kind of net where none is asked for."""
    make: Callable[[Mapping[str, Any], int, Progress], Sources]
    """Every key's value, the seed of training, and whom to tell how far it is -> the sources."""


@final
@dataclass(frozen=True)
class Sampling:
    """How an episode is drawn from classes."""

    ways: int = 5
    """Classes in a task."""
    shots: int = 1
    """Support examples of each class."""
    queries: int = 15
    """Query examples of each class."""
    train_ways: int | None = None
    """Classes in a training task. None: as many as in others."""
    train_shots: int | None = None
    """Support examples of each class in a training task. None: as many as in others."""
    train_queries: int | None = None
    """Query examples of each class in a training task. None: as many as in others."""

    def sources(self, splits: Mapping[str, Classes], seed: int) -> Sources:
        """Training tasks by the seed; the others are the same for every seed."""
        held = ClassTasks(splits, self.ways, self.shots, self.queries)
        return replace(
            held,
            ways=_or(self.train_ways, self.ways),
            shots=_or(self.train_shots, self.shots),
            queries=_or(self.train_queries, self.queries),
            seed=seed,
        ), held


@final
@dataclass(frozen=True)
class Characters:
    """Omniglot."""

    data: Path | None = None
    """Folder with the two official zips, or unpacked, or as .npz. None: they are downloaded, once."""
    split: Literal["vinyals", "random"] = "vinyals"
    """Which characters train: vinyals is that of Matching networks and ProtoNets, random that of MAML and Reptile."""
    size: int = 28
    """Height and width of an image."""
    turns: Literal[1, 2, 4] = 4
    """4: a character turned by right angles is four classes."""
    smooth: bool = True
    """Shrink with antialiasing; the papers' code in effect takes the nearest pixel, which is harder."""

    def __post_init__(self) -> None:
        refuse(below(1, self, "size", table="tasks"))


@final
@dataclass(frozen=True)
class Pictures:
    """A folder of images."""

    data: Path
    """The folder: train, val and test with a folder for each class; or images/ and lists; or a folder for each class."""
    size: int = 84
    """Height and width that every image is resized to."""
    mode: Literal["L", "RGB"] = "RGB"
    """L: one channel. RGB: three."""
    turns: Literal[1, 2, 4] = 1
    """4: a class turned by right angles is four classes."""
    in_memory: bool = True
    """Hold all images in memory, a byte a channel; else each is read when it is drawn."""

    def __post_init__(self) -> None:
        refuse(below(1, self, "size", table="tasks"))


@final
@dataclass(frozen=True)
class Jitter:
    """How training images are turned and moved by chance, so that none is seen twice alike."""

    train_turn: float = 0.0
    """Degrees that a training image is turned by at most, either way round, and is the same class still; black comes in from outside."""
    train_shift: float = 0.0
    """Part of its size that a training image is moved by at most, each way; black comes in from outside."""

    def of(self, sources: Sources, seed: int) -> Sources:
        """The same sources, training's jittered."""
        training, held = sources
        return (Jittered(training, self.train_turn, self.train_shift, seed) if self.train_turn or self.train_shift else training), held


@final
@dataclass(frozen=True)
class Waves:
    """How sinusoids are trained on."""

    train_shots: int | None = None
    """Support examples of a training task. None: as many as in others."""


def draw_each(train: Tasks, held: Tasks, turns: int) -> None:
    """See that every split has tasks before hours are spent on one of them: after that it could not be mended.

    Args:
        train: for training.
        held: for validation and test.
        turns: families that take turns.

    Raises:
        TasksError: one lacks them.
    """
    for source, split in ((train, "train"), (held, "validation"), (held, "test")):
        source.draw(split, 0, turns)


def _sine(values: Mapping[str, Any], seed: int, progress: Progress) -> Sources:
    held = Sine(**_part(Sine, values))
    return replace(held, shots=_or(values["train_shots"], held.shots), seed=seed), held


def _omniglot(values: Mapping[str, Any], seed: int, progress: Progress) -> Sources:
    c = Characters(**_part(Characters, values))
    return _of_images(omniglot(c.data, c.split, c.size, c.turns, smooth=c.smooth, progress=progress), values, seed)


def _folder(values: Mapping[str, Any], seed: int, progress: Progress) -> Sources:
    p = Pictures(**_part(Pictures, values))
    return _of_images(read_folder(p.data, p.size, p.mode, p.turns, in_memory=p.in_memory, progress=progress), values, seed)


def _of_images(splits: Mapping[str, Classes], values: Mapping[str, Any], seed: int) -> Sources:
    return Jitter(**_part(Jitter, values)).of(Sampling(**_part(Sampling, values)).sources(splits, seed), seed)


def _or(given: int | None, else_: int) -> int:
    return else_ if given is None else given


def _part(cls: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {key.name: values[key.name] for key in keys(cls) if key.name in values}


KINDS: Mapping[str, Kind] = {
    "sine": Kind((*keys(Sine, ["seed"]), *keys(Waves)), "mlp", _sine),
    "omniglot": Kind((*keys(Sampling), *keys(Characters), *keys(Jitter)), "conv4", _omniglot),
    "folder": Kind((*keys(Sampling), *keys(Pictures), *keys(Jitter)), "conv4", _folder),
}
"""By name."""


@final
@dataclass(frozen=True)
class Shape:
    """What a task looks like to a net."""

    inputs: tuple[int, ...]
    """Of one example."""
    outputs: int
    """Classes of a task, or the width of its values."""
    shots: int
    """Support examples of a task, of all classes together."""
    dtype: torch.dtype = torch.float32
    """Of the inputs; texts are whole numbers."""

    @classmethod
    def of(cls, episodes: Episodes) -> Shape:
        """The shape of some tasks."""
        shown = episodes.support
        outputs = shown.targets.shape[2] if shown.targets.is_floating_point() else int(shown.targets.max()) + 1
        return cls(tuple(shown.inputs.shape[2:]), outputs, shown.inputs.shape[1], shown.inputs.dtype)
