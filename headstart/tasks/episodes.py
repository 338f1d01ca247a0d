"""N-way K-shot episodes over classes of examples of any kind: images, or texts as features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor

from headstart.episode import Episodes, Labelled
from headstart.errors import TasksError, nearest
from headstart.tasks.chance import bits
from headstart.terms import counted

SHOWN = 10
"""How many offenders an error message names; the rest are counted."""


class Classes(Protocol):
    """Classes numbered from 0, and their examples, each class's own numbered from 0 and all of one shape."""

    @property
    def names(self) -> Sequence[str]:
        """One for each class, for people."""
        ...

    @property
    def counts(self) -> Tensor:
        """How many examples each class has, (classes,) int64."""
        ...

    def read(self, classes: Tensor, members: Tensor) -> Tensor:
        """Examples by class and number, in memory of their own.

        Args:
            classes: (n,) int64.
            members: (n,) int64, below the class's count.

        Returns:
            (n, ...).
        """
        ...


@final
@dataclass(frozen=True, eq=False)
class Held:
    """Classes held in memory, end to end."""

    names: tuple[str, ...]
    """One for each class."""
    counts: Tensor
    """Examples of each class, (classes,) int64."""
    items: Tensor
    """The first class's examples, then the second's, …: (examples, ...); on any device, where episodes then are too."""

    @classmethod
    def of(cls, examples: Mapping[str, Tensor]) -> Held:
        """Classes by name, (count, ...) each."""
        return cls(tuple(examples), torch.tensor([len(items) for items in examples.values()]), torch.cat(list(examples.values())))

    def read(self, classes: Tensor, members: Tensor) -> Tensor:
        """Examples by class and number, (n, ...)."""
        starts = self.counts.cumsum(0) - self.counts
        return self.items[(starts[classes] + members).to(self.items.device)]


@final
@dataclass(frozen=True, eq=False)
class ClassTasks:
    """Episodes: `ways` classes in an order of their own, `shots` examples of each as support and `queries` others as query.

    Training and evaluation may differ in ways and shots: two values over the same classes. A task's number and seed decide its
    classes first, then its query, then its support, so with more shots the same task asks the same.

    Source: Vinyals et al. 2016, Matching networks, section 2.2; Snell et al. 2017, Prototypical networks, algorithm 1.
    """

    splits: Mapping[str, Classes]
    """Split -> its classes; "train", "validation" and "test" have none in common."""
    ways: int = 5
    """Classes in a task."""
    shots: int = 1
    """Support examples of each class."""
    queries: int = 15
    """Query examples of each class."""
    seed: int = 0
    """Other seeds have other tasks."""

    def __post_init__(self) -> None:
        if min(self.ways, self.shots, self.queries) < 1:
            raise TasksError(f"A task needs one way, shot and query at least, got {self.ways}, {self.shots} and {self.queries}.")

    def draw(self, split: str, first: int, count: int) -> Episodes:
        """Tasks number first, first + 1, …; inputs (tasks, n, ...), targets (tasks, n), with n = ways * shots or ways * queries, shuffled.

        Args:
            split: one of `splits`.
            first: number of the first task.
            count: how many.

        Raises:
            TasksError: no such split, more ways than it has classes, or classes with too few examples: all of them.
        """
        classes, numbers, stream = self._checked(split), torch.arange(first, first + count), f"{self.seed}/{split}"
        chosen = bits(f"{stream}/classes", numbers, len(classes.counts)).topk(self.ways).indices
        most = int(classes.counts.max())
        keys = bits(f"{stream}/members", numbers, self.ways * most).unflatten(1, (self.ways, most))
        absent = torch.arange(most) >= classes.counts[chosen][..., None]
        members = keys.masked_fill(absent, torch.iinfo(torch.int64).min).topk(self.queries + self.shots).indices
        query, support = members.split([self.queries, self.shots], dim=2)
        return Episodes(
            _side(classes, chosen, support, bits(f"{stream}/support", numbers, self.ways * self.shots)),
            _side(classes, chosen, query, bits(f"{stream}/query", numbers, self.ways * self.queries)),
        )

    def _split(self, split: str) -> Classes:
        if split not in self.splits:
            raise TasksError(f"There is no split '{split}'; there are {', '.join(self.splits)}.{nearest(split, self.splits)}")
        return self.splits[split]

    def _checked(self, split: str) -> Classes:
        classes, need = self._split(split), self.shots + self.queries
        if len(classes.counts) < self.ways:
            dealt = ", ".join(f"{name} {len(some_classes.counts)}" for name, some_classes in self.splits.items())
            raise TasksError(
                f"{self.ways} ways were asked for; '{split}' has {counted(len(classes.counts), 'class')}. Each part has classes of its own "
                f"({dealt}) and needs as many as there are ways: ask for fewer ways, or give more classes."
            )
        few = (classes.counts < need).nonzero()[:, 0].tolist()
        if few:
            named = some([f"{classes.names[i]} ({int(classes.counts[i])})" for i in few])
            raise TasksError(
                f"{self.shots} shots and {self.queries} queries need {need} examples of a class; in '{split}' {len(few)} of "
                f"{len(classes.counts)} classes have fewer: {named}. Ask for fewer, or add to these classes or take them away."
            )
        return classes


def some(offenders: Iterable[str]) -> str:
    """The first few offenders by name, the others as a number."""
    known = list(offenders)
    more = [f"and {len(known) - SHOWN} more"] if len(known) > SHOWN else []
    return ", ".join(known[:SHOWN] + more)


def _side(classes: Classes, chosen: Tensor, members: Tensor, keys: Tensor) -> Labelled:
    """Rows in the order of their keys; a class's target is its place among the chosen."""
    order = keys.argsort(1)
    targets = order // members.shape[2]
    which, member = chosen.gather(1, targets), members.flatten(1).gather(1, order)
    inputs = classes.read(which.flatten(), member.flatten()).unflatten(0, order.shape)
    return Labelled(inputs, targets.to(inputs.device))
