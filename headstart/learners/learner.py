"""What every learner is: begin, adapt, predict, and a gradient for what outlives tasks.

A learner is a value: settings and nothing else. What it has learned is passed in and handed back, so two tasks can
never leak into each other, and a run is resumed from tensors alone.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from headstart.bank import Weights
from headstart.episode import Asked, Drawn

Meta = Weights
"""What outlives tasks, name -> (...): initial weights, step sizes, an embedding, a reader and writer."""


class Learner(Protocol):
    """How tasks are learned, a batch of tasks at a time; the task axis is first everywhere."""

    def begin(self, seed: int) -> Meta:
        """What is known before any task, drawn from `seed`."""
        ...

    def adapt(self, meta: Meta, support: Any) -> Any:
        """What a batch of tasks leaves behind (`fast`): a bank, prototypes, a memory; tasks first.

        Args:
            meta: name -> (...); never written to.
            support: `Shown`; for the classics `Labelled`, inputs (tasks, n, ...) and targets (tasks, n) or (tasks, n, width).
        """
        ...

    def predict(self, meta: Meta, fast: Any, asked: Asked) -> Tensor:
        """Scores (rows, n, ways) or values (rows, n, width) of inputs that come without their answers.

        Args:
            meta: as `adapt` had it.
            fast: from `adapt`.
            asked: rows of inputs; row r belongs to task asked.slots[r] - 1, and a task may have several rows.
        """
        ...

    def meta_gradient(self, meta: Meta, episodes: Drawn[Any]) -> tuple[Weights, Tensor]:
        """The direction in which `meta` is to be stepped down, averaged over the tasks, and each task's query loss.

        Returns:
            name -> (...), for every name in `meta`; and (tasks,) losses without a graph.
        """
        ...
