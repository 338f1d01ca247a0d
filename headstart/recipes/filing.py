"""Tasks that lie in files: which of them train and which are judged, and what was left out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from headstart.episode import Tasks
from headstart.tasks.calls import Calls
from headstart.tasks.collection import Collection
from headstart.tasks.commands import Commands
from headstart.tasks.episodes import Classes, ClassTasks
from headstart.tasks.family import Family
from headstart.tasks.labels import Labels
from headstart.tasks.mixture import Mixture
from headstart.train.filed import Filed, Sides, digest

Contents = Mapping[str, Mapping[str, Iterable[object]]]
"""Split -> name -> what is called so, in any order."""


def of_classes(kind: str, place: Path | None, held: Tasks, told: tuple[str, ...] = ()) -> Filed:
    """Of tasks over classes.

    Args:
        kind: of the tasks.
        place: where they lie.
        held: validation's and the test's.
        told: what to tell of them.
    """
    if not isinstance(held, ClassTasks):
        return Filed()
    return Filed(_sides(_called(kind, place), {split: _classes(it) for split, it in held.splits.items()}), told)


def _classes(of: Classes) -> dict[str, list[object]]:
    """All images may be too many to read: a class is told by its own name, how many it has, and the first of them."""
    first = of.read(torch.arange(len(of.names)), torch.zeros(len(of.names), dtype=torch.long)).cpu()
    shown = [digest(bytes(it.flatten().view(torch.uint8).tolist()).hex()) for it in first]
    return {name: [(name, n, one)] for name, n, one in zip(of.names, of.counts.tolist(), shown, strict=True)}


def of_family(kind: str, place: Path | None, family: Family, shots: int, queries: int) -> Filed:
    """Of text tasks.

    Args:
        kind: of the tasks.
        place: where they lie.
        family: of one kind, or several in turns.
        shots: support examples that a task must have.
        queries: further examples.
    """
    if isinstance(family, Mixture):
        return _together(family, shots, queries)
    return _of_one(_called(kind, place), family, shots, queries)


def _of_one(called: str, family: Family, shots: int, queries: int) -> Filed:
    match family:
        case Collection():
            found: dict[str, dict[str, list[object]]] = {"train": {}, "validation": {}, "test": {}}
            for split, groups in found.items():
                for pool in family.dealt.pools[split]:  # type: ignore[index]
                    group = pool.task.group.removeprefix(f"{pool.task.split}/")
                    groups.setdefault(group, []).extend(example.messages for example in pool.task.examples)
            return Filed(_sides(called, found), (family.told(shots, queries),))
        case Commands():
            return _of_one(called, family.pages, shots, queries)
        case Calls():
            return _of_one(called, family.services, shots, queries)
        case Labels():
            # Near shows all texts of a class of training.
            splits = {"train": family.topics["near"], "validation": family.topics["validation"], "test": family.topics["test"]}
            return Filed(_sides(called, {split: {it.name: it.shown for it in some} for split, some in splits.items()}), (family.told(),))
        case _:
            return Filed()


def _together(family: Mixture, shots: int, queries: int) -> Filed:
    """Families by name, "kind=place"; those called alike by their turn."""
    short = [_called(kind, Path(place)) for kind, _, place in (name.partition("=") for name in family.families)]
    sides: dict[str, dict[str, str]] = {}
    told: list[str] = []
    for at, (name, it) in enumerate(family.families.items()):
        read = _of_one(f"{short[at]}{short[:at].count(short[at]) or ''}", it, shots, queries)
        for split, names in read.sides.items():
            sides.setdefault(split, {}).update(names)
        told += [f"{name}: {line}" for line in read.told]
    return Filed({split: dict(sorted(names.items())) for split, names in sides.items()}, tuple(told))


def _called(kind: str, place: Path | None) -> str:
    """The folder that a place is in may be another tomorrow."""
    return f"{kind}={place.name if place else ''}"


def _sides(called: str, contents: Contents) -> Sides:
    return {
        split: {f"{called}: {name}": digest(json.dumps(sorted(map(json.dumps, it)))) for name, it in sorted(names.items())}
        for split, names in contents.items()
    }
