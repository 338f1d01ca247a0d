"""Labelled examples as a test of a learner: a few of each class are shown, all others are asked.

Examples come class after class, as in `headstart.tasks.episodes.Held`: the first class's, then the second's, …
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from headstart.episode import Asked, Labelled
from headstart.errors import ExamplesError
from headstart.learners.learner import Learner
from headstart.loss import token_losses
from headstart.tasks.chance import bits
from headstart.tasks.episodes import Held, some

_CHUNK = 4096
"""Examples asked at once; it bounds memory and changes nothing else."""


@final
@dataclass(frozen=True, eq=False)
class Dealt:
    """Which examples are shown and which are asked, in some tasks of one size."""

    shown: Tensor
    """(tasks, n) int64"""
    asked: Tensor
    """(tasks, m) int64"""


@final
@dataclass(frozen=True, eq=False)
class Outcome:
    """What was answered in one task."""

    asked: Tensor
    """the examples, ascending, (m,) int64"""
    wanted: Tensor
    """their classes, (m,) int64"""
    scores: Tensor
    """(m, classes)"""

    @property
    def got(self) -> Tensor:
        """The class with the highest score, (m,)."""
        return self.scores.argmax(1)

    @property
    def losses(self) -> Tensor:
        """Cross-entropies in nats, (m,)."""
        return token_losses(self.scores, self.wanted)

    @property
    def accuracy(self) -> float:
        """The share that was answered right."""
        return float((self.got == self.wanted).double().mean())


def draws(counts: Tensor, shots: int, seed: int, count: int) -> Dealt:
    """Tasks that show `shots` random examples of every class and ask the rest.

    Args:
        counts: examples of each class, (classes,).
        shots: at least one, and less than the smallest count.
        seed: of the first task; the next has the next seed.
        count: how many tasks.
    """
    order = _shuffled(counts, torch.arange(count) + seed)
    starts = counts.cumsum(0) - counts
    shown = torch.arange(order.shape[1]) - starts[_owners(counts)] < shots
    return Dealt(order[:, shown], order[:, ~shown].sort(1).values)


def folds(counts: Tensor, parts: int, seed: int) -> list[Dealt]:
    """Tasks that between them ask every example once and show all others; classes are spread evenly over them.

    Args:
        counts: examples of each class, (classes,), two each at least.
        parts: how many tasks, two at least; no more than there are examples.
        seed: of the deal.
    """
    [order] = _shuffled(counts, torch.tensor([seed]))
    # Dealt round in the order of the classes, so that each fold takes its share of every class.
    fold = torch.arange(len(order)) % parts
    return [Dealt(order[fold != f][None], order[fold == f].sort().values[None]) for f in range(min(parts, len(order)))]


def outcomes(learner: Learner, held: Held, dealt: Dealt) -> list[Outcome]:
    """Each task's answers.

    Args:
        learner: starts from the meta of seed 0.
        held: classes as features, on the CPU.
        dealt: which are shown and asked.
    """
    owners, meta = _owners(held.counts), learner.begin(0)
    with torch.no_grad():
        fast = learner.adapt(meta, Labelled(held.items[dealt.shown], owners[dealt.shown]))
        slots = torch.arange(1, len(dealt.asked) + 1)
        parts = [learner.predict(meta, fast, Asked(slots, held.items[part])) for part in dealt.asked.split(_CHUNK, dim=1)]
    return [Outcome(asked, owners[asked], scores) for asked, scores in zip(dealt.asked, torch.cat(parts, 1), strict=True)]


def merged(parts: Sequence[Outcome]) -> Outcome:
    """Tasks that ask different examples as one."""
    asked, wanted, scores = (torch.cat(fields) for fields in zip(*((p.asked, p.wanted, p.scores) for p in parts), strict=True))
    order = asked.argsort()
    return Outcome(asked[order], wanted[order], scores[order])


def check(names: Sequence[str], counts: Sequence[int], need: int, why: str) -> None:
    """Whether there are classes to tell apart, with enough examples each.

    Raises:
        ExamplesError: fewer than two classes, or classes with fewer than `need` examples, by name.
    """
    if len(names) < 2:
        raise ExamplesError(f"All examples have the label '{names[0]}': at least two classes are needed to tell apart.")
    few = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count < need]
    if few:
        raise ExamplesError(
            f"{why} needs {need} examples of a class; {len(few)} of {len(names)} classes have fewer: {some(few)}. "
            "Ask for fewer shots, or add to these classes or take them away."
        )


def _owners(counts: Tensor) -> Tensor:
    """The class of each example."""
    return torch.arange(len(counts)).repeat_interleave(counts)


def _shuffled(counts: Tensor, seeds: Tensor) -> Tensor:
    """All examples, class after class and in random order within each: (seeds, examples)."""
    order = bits("classify", seeds, int(counts.sum())).argsort(1)
    return order.gather(1, _owners(counts)[order].argsort(dim=1, stable=True))
