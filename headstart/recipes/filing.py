"""Tasks that lie in files: which of them train and which are judged, and what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from headstart.episode import Tasks
from headstart.tasks.calls import Calls
from headstart.tasks.collection import Collection
from headstart.tasks.commands import Commands
from headstart.tasks.episodes import ClassTasks
from headstart.tasks.family import Family
from headstart.tasks.labels import Labels
from headstart.tasks.mixture import Mixture
from headstart.train.filed import Filed, Sides


def of_classes(held: Tasks, told: tuple[str, ...] = ()) -> Filed:
    """Of tasks over classes."""
    return Filed(_sorted({split: it.names for split, it in held.splits.items()}), told) if isinstance(held, ClassTasks) else Filed()


def of_family(family: Family, shots: int, queries: int) -> Filed:
    """Of text tasks.

    Args:
        family: of one kind, or several in turns.
        shots: support examples that a task must have.
        queries: further examples.
    """
    match family:
        case Mixture():
            return _together({name: of_family(it, shots, queries) for name, it in family.families.items()})
        case Collection():
            pools = {split: family.dealt.pools[split] for split in ("train", "validation", "test")}
            names = {split: [it.task.group.removeprefix(f"{it.task.split}/") for it in some] for split, some in pools.items()}
            return Filed(_sorted(names), (family.told(shots, queries),))
        case Commands():
            return of_family(family.pages, shots, queries)
        case Calls():
            return of_family(family.services, shots, queries)
        case Labels():
            sides = {split: [it.name for it in family.topics[split]] for split in ("train", "validation", "test")}
            return Filed(_sorted(sides), (family.told(),))
        case _:
            return Filed()


def _together(filed: Mapping[str, Filed]) -> Filed:
    """Families by name, "kind=place", where the folder that a place is in may be another tomorrow; those called alike by their turn."""
    short = [f"{kind}={Path(place).name}" for kind, _, place in (name.partition("=") for name in filed)]
    kinds = {name: f"{it}{short[:at].count(it) or ''}: " for at, (name, it) in enumerate(zip(filed, short, strict=True))}
    sides: dict[str, list[str]] = {}
    for name, it in filed.items():
        for split, names in it.sides.items():
            sides.setdefault(split, []).extend(kinds[name] + each for each in names)
    return Filed(_sorted(sides), tuple(f"{name}: {line}" for name, it in filed.items() for line in it.told))


def _sorted(sides: Mapping[str, Iterable[str]]) -> Sides:
    return {split: tuple(sorted(set(names))) for split, names in sides.items()}
