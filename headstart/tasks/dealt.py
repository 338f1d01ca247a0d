"""Tasks made clean and dealt to splits, so that no example of a test task is ever trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import final

from headstart.episode import Example
from headstart.errors import TasksError
from headstart.tasks.family import Split
from headstart.tasks.splits import SHARES, deal
from headstart.tasks.task_files import Task
from headstart.tasks.words import Side
from headstart.terms import counted

_HELD_OUT = 5
"""One example in so many of a training task is kept for near."""


@final
@dataclass(frozen=True)
class Pool:
    """One task as one split sees it."""

    task: Task
    asked: tuple[Example, ...]
    """What queries are drawn from."""
    shown: tuple[Example, ...]
    """What the support is drawn from: the same examples, or for near others."""

    def has(self, shots: int, queries: int) -> bool:
        """Whether so large a support and so many further queries can be drawn."""
        total = len(self.shown) if self.asked is self.shown else len(self.shown) + len(self.asked)
        return len(self.asked) >= queries and len(self.shown) >= shots and total >= shots + queries


@final
@dataclass(frozen=True)
class Dealt:
    """Every task in its split."""

    pools: Mapping[Split, tuple[Pool, ...]]
    doubtful: int
    """Examples left out as their input has another output in the same task: no answer to it could be checked."""
    leaked: int
    """Examples left out of training, or of validation, as a later split has the same input and output."""


def held_out(text: object) -> bool:
    """Whether training never shows an example: one in five, by the example alone, so the same one in every task."""
    return hashlib.sha256(repr(text).encode()).digest()[0] % _HELD_OUT == 0


def dealt(tasks: Iterable[Task], seed: int = 0) -> Dealt:
    """Tasks to splits, whole groups at a time by the group's name, unless their files are split already.

    Args:
        tasks: their examples may repeat.
        seed: other seeds deal otherwise.

    Raises:
        TasksError: fewer than three groups.
    """
    given = list(tasks)
    clean = [tidy(task) for task in given]
    doubtful = sum(len(set(task.examples)) for task in given) - sum(len(task.examples) for task in clean)
    sides = _sides(clean, seed)
    before = sum(len(task.examples) for part in sides.values() for task in part)
    seen: set[Example] = set()
    for side in ("test", "validation", "train"):
        # From the last split back: a test keeps all it has.
        kept = [replace(task, examples=tuple(e for e in task.examples if e not in seen)) for task in sides[side]]
        seen.update(e for task in kept for e in task.examples)
        sides[side] = kept
    leaked = before - sum(len(task.examples) for part in sides.values() for task in part)
    return Dealt(_pools(sides), doubtful, leaked)


def tidy(task: Task) -> Task:
    """A task with each example once, and none whose input has two outputs."""
    outputs: dict[object, set[str]] = {}
    for example in task.examples:
        outputs.setdefault(example.messages[:-1], set()).add(example.completion)
    return replace(task, examples=tuple(e for e in dict.fromkeys(task.examples) if len(outputs[e.messages[:-1]]) == 1))


def _sides(tasks: list[Task], seed: int) -> dict[Side, list[Task]]:
    sides: dict[Side, list[Task]] = {"train": [], "validation": [], "test": []}
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        if task.split:
            sides[task.split].append(task)
        else:
            groups.setdefault(task.group, []).append(task)
    if groups and len(groups) < len(SHARES):
        raise TasksError(
            f"There {'are' if len(groups) > 1 else 'is'} {counted(len(groups), 'group')} of tasks; training, validation "
            "and test need at least one each: add tasks of other groups, or folders named train, validation and test."
        )
    if groups:
        parts = deal(groups, seed=seed)
        for side, kept in sides.items():
            kept += [task for some in parts[side].values() for task in some]
    return sides


def _pools(sides: Mapping[Side, list[Task]]) -> dict[Split, tuple[Pool, ...]]:
    pools: dict[Split, tuple[Pool, ...]] = {}
    for side in ("validation", "test"):
        pools[side] = tuple(Pool(task, task.examples, task.examples) for task in sides[side])
    train, near = [], []
    for task in sides["train"]:
        shown = tuple(e for e in task.examples if not held_out(e.messages))
        train.append(Pool(task, shown, shown))
        near.append(Pool(task, tuple(e for e in task.examples if held_out(e.messages)), shown))
    return pools | {"train": tuple(train), "near": tuple(near)}
