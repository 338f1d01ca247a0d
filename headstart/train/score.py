"""How well a learner learns tasks that it has not seen: one number a task, a mean, and an interval over tasks."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch

from headstart.episode import Tasks
from headstart.errors import Diverged
from headstart.learners.learner import Learner, Meta
from headstart.train.evaluate import loss_interval, mean, share_interval
from headstart.train.spread import ALONE, Team, share


@final
@dataclass(frozen=True)
class Score:
    """A mean over tasks."""

    metric: str
    """"accuracy" or "exact match", a share of 1; or "mse"."""
    mean: float
    """Over tasks."""
    low: float
    """End of the 95 % interval over tasks."""
    high: float
    """The other end."""
    tasks: int
    """How many."""

    @classmethod
    def of(cls, metric: str, each: Sequence[float]) -> Score:
        """The score of some tasks, from the score of each."""
        found = loss_interval(each) if metric == "mse" else share_interval(each)
        return cls(metric, mean(each), *found, len(each))

    @property
    def merit(self) -> float:
        """Higher is better."""
        return -self.mean if self.metric == "mse" else self.mean

    def reaches(self, target: float) -> bool:
        """Whether the mean is as good as a target, or better."""
        return self.mean <= target if self.metric == "mse" else self.mean >= target


def score(learner: Learner, meta: Meta, tasks: Tasks, split: str, count: int, first: int = 0, chunk: int = 10, team: Team = ALONE) -> Score:
    """How good the answers to the queries of numbered tasks are, as what they show measures it: `Shown.score`.

    Draws of the same task of a file count as one task, at their mean: a folder of four is no six hundred, however often it is drawn from.

    Args:
        learner: adapts to the support, then predicts the query.
        meta: name -> (...).
        tasks: the source.
        split: of the tasks.
        count: how many tasks; at least one, and one a process.
        first: number of the first task.
        chunk: tasks at once; bounds memory, and changes nothing else.
        team: the processes that share the tasks out.

    Raises:
        Diverged: a task ends in no number.
    """
    mine = share(team, count)
    each, metric = torch.zeros(count, dtype=torch.float64), ""
    of = torch.zeros(count, dtype=torch.int64)
    for at in range(mine.start, mine.stop, chunk):
        episodes = tasks.draw(split, first + at, min(chunk, mine.stop - at))
        outputs = learner.predict(meta, learner.adapt(meta, episodes.support), episodes.query.asked)
        metric, values = episodes.query.score(outputs)
        each[at : at + len(values)] = values
        of[at : at + len(values)] = torch.tensor(_drawn_from(episodes.of or [""] * len(values), first + at))
    scores: list[float] = team.sum(each).tolist()
    lost = [number for number, value in enumerate(scores, first) if not math.isfinite(value)]
    if lost:
        raise Diverged(
            f"Adapting to {split} task {lost[0]} ends in no number ({len(lost)} of {count} tasks do): a smaller inner rate or fewer "
            "inner steps may help.",
            *(len(lost), count),
        )
    drawn: dict[int, list[float]] = {}
    for one, value in zip(team.sum(of).tolist(), scores, strict=True):
        drawn.setdefault(one, []).append(value)
    return Score.of(metric, [mean(values) for values in drawn.values()])


def _drawn_from(names: Sequence[str], first: int) -> list[int]:
    """A number for each name, such as processes can add up; below zero for tasks that have none, each another."""
    digests = [hashlib.sha256(name.encode()).digest()[:7] for name in names]
    return [int.from_bytes(it) if name else -1 - number for number, (name, it) in enumerate(zip(names, digests, strict=True), first)]
