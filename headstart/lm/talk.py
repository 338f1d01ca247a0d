"""Conversations of a batch of tasks: what a grafted language model is shown and asked, as learners read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from headstart.episode import Asked, in_turn
from headstart.lm.batch import Batch, Encoded
from headstart.loss import row_losses, token_losses


@final
@dataclass(frozen=True)
class Talk:
    """Rows of a batch of tasks; each row's targets are to be predicted."""

    rows: tuple[tuple[Encoded, ...], ...]
    """Of each task."""
    device: torch.device | str = "cpu"

    @property
    def tasks(self) -> int:
        """How many tasks are in the batch."""
        return len(self.rows)

    @cached_property
    def asked(self) -> Asked:
        """All rows as one batch, those of task i in slot i + 1."""
        return Asked(self._owner + 1, Batch.of([row for rows in self.rows for row in rows], device=self.device))

    def losses(self, outputs: Tensor) -> Tensor:
        """Each task's mean over its rows of the mean loss a token, (tasks,)."""
        batch: Batch = self.asked.inputs
        return self._mean(row_losses(token_losses(outputs, batch.labels), batch.owner, len(self._owner)))

    def score(self, outputs: Tensor) -> tuple[str, Tensor]:
        """The share of rows whose every target is the likeliest token: what greedy decoding would get right to the letter."""
        batch: Batch = self.asked.inputs
        wrong = (outputs.argmax(-1) != batch.labels).double()
        right = (wrong.new_zeros(len(self._owner)).index_add(0, batch.owner, wrong) == 0).double()
        lost = wrong.new_zeros(len(self._owner)).index_add(0, batch.owner, outputs.isnan().any(-1).double()) > 0
        return "exact match", self._mean(torch.where(lost, torch.nan, right)).cpu()

    @property
    def sizes(self) -> list[int]:
        """The longest row of each task, in tokens."""
        return [max((len(row) for row in rows), default=0) for rows in self.rows]

    def part(self, tasks: Sequence[int]) -> Talk:
        """Some of the tasks, by number."""
        return replace(self, rows=tuple(self.rows[task] for task in tasks))

    def minibatch(self, step: int, size: int) -> Talk:
        """Of every task some of its rows, counted round; see `Shown`."""
        return replace(self, rows=tuple(tuple(rows[i] for i in in_turn(len(rows), step, size)) for rows in self.rows))

    def to(self, device: torch.device, dtype: torch.dtype) -> Talk:
        """The same on a device; tokens have no precision."""
        return replace(self, device=device)

    @cached_property
    def _owner(self) -> Tensor:
        return torch.tensor([task for task, rows in enumerate(self.rows) for _ in rows], device=self.device)

    def _mean(self, each: Tensor) -> Tensor:
        """Over the rows of each task."""
        counts = torch.tensor([len(rows) for rows in self.rows], device=each.device, dtype=each.dtype)
        return each.new_zeros(self.tasks).index_add(0, self._owner, each) / counts
