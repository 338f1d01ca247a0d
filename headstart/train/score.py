"""How well a learner learns tasks that it has not seen: one number a task, a mean, and an interval over tasks."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from headstart.episode import Tasks
from headstart.errors import Diverged
from headstart.learners.learner import Learner, Meta
from headstart.train.evaluate import alike, loss_interval, mean, share_interval
from headstart.train.spread import ALONE, Team, share


@final
@dataclass(frozen=True)
class Score:
    """A mean over tasks."""

    metric: str
    """"accuracy" or "exact match", a share of 1; or "mse"."""
    mean: float
    """Over tasks; where there are several families, over the mean of each."""
    low: float
    """End of the 95 % interval over tasks."""
    high: float
    """The other end."""
    tasks: int
    """How many."""

    @classmethod
    def of(cls, metric: str, *families: Sequence[float]) -> Score:
        """The score of some tasks, from the score of each, family by family: one that has few tasks counts as much as one that has many."""
        interval, means = loss_interval if metric == "mse" else share_interval, [mean(each) for each in families]
        return cls(metric, mean(means), *alike(means, [interval(each) for each in families]), sum(map(len, families)))

    @property
    def merit(self) -> float:
        """Higher is better."""
        return -self.mean if self.metric == "mse" else self.mean

    def reaches(self, target: float) -> bool:
        """Whether the mean is as good as a target, or better."""
        return self.mean <= target if self.metric == "mse" else self.mean >= target


def score(learner: Learner, meta: Meta, tasks: Tasks, split: str, count: int, chunk: int = 10, team: Team = ALONE) -> Score:
    """How good the answers to the queries of numbered tasks are, as what they show measures it: `Shown.score`.

    Draws of the same task of a file count as one task, at their mean: a folder of four is no six hundred, however often it is drawn from.
    Families count alike.

    Args:
        learner: adapts to the support, then predicts the query.
        meta: name -> (...).
        tasks: the source.
        split: of the tasks.
        count: how many tasks; at least one, and one a process.
        chunk: tasks at once; bounds memory, and changes nothing else.
        team: the processes that share the tasks out.

    Raises:
        Diverged: a task ends in no number.
    """
    mine = share(team, count)
    each, metric = torch.zeros(count, dtype=torch.float64), ""
    of, whose = torch.zeros(2, count, dtype=torch.int64)
    for at in range(mine.start, mine.stop, chunk):
        episodes = tasks.draw(split, at, min(chunk, mine.stop - at))
        outputs = learner.predict(meta, learner.adapt(meta, episodes.support), episodes.query.asked)
        metric, values = episodes.query.score(outputs)
        each[at : at + len(values)] = values
        none = [""] * len(values)
        of[at : at + len(values)] = _numbers(name or str(number) for number, name in enumerate(episodes.of or none, at))
        whose[at : at + len(values)] = _numbers(episodes.families or none)
    scores: list[float] = team.sum(each).tolist()
    lost = [number for number, value in enumerate(scores) if not math.isfinite(value)]
    if lost:
        raise Diverged(
            f"Adapting to {split} task {lost[0]} ends in no number ({len(lost)} of {count} tasks do): a smaller inner rate or fewer "
            "inner steps may help.",
            len(lost),
            count,
        )
    drawn: dict[int, dict[int, list[float]]] = {}
    for family, one, value in zip(team.sum(whose).tolist(), team.sum(of).tolist(), scores, strict=True):
        drawn.setdefault(family, {}).setdefault(one, []).append(value)
    return Score.of(metric, *([mean(values) for values in tasks.values()] for tasks in drawn.values()))


def _numbers(names: Iterable[str]) -> Tensor:
    """A number for each name, such as processes can add up."""
    return torch.tensor([int.from_bytes(hashlib.sha256(name.encode()).digest()[:7]) for name in names])
