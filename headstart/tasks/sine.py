"""Sinusoid regression: the first benchmark of gradient-based meta-learning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from headstart.episode import Episodes, Labelled
from headstart.errors import TasksError
from headstart.tasks.chance import uniform


@final
@dataclass(frozen=True)
class Sine:
    """Tasks y = amplitude sin(x - phase), each with a wave of its own; fresh tasks without end, no fixed pool.

    The query of a task does not depend on the number of shots, so a learning curve asks the same at each of its points.

    Source: Finn et al. 2017, MAML, section 5.1; the sign of the phase as in the authors' code.
    """

    shots: int = 10
    """Support examples of a task."""
    queries: int = 10
    """Query examples of a task."""
    amplitude: tuple[float, float] = (0.1, 5.0)
    """Lowest and highest."""
    phase: tuple[float, float] = (0.0, math.pi)
    """Lowest and highest, in radians."""
    inputs: tuple[float, float] = (-5.0, 5.0)
    """Lowest and highest x."""
    seed: int = 0
    """Other seeds have other tasks."""
    dtype: torch.dtype = torch.float32
    """Of inputs and targets; they are computed in float64."""

    def __post_init__(self) -> None:
        if min(self.shots, self.queries) < 1:
            raise TasksError(f"A task needs at least one support and one query example, got {self.shots} and {self.queries}.")

    def draw(self, split: str, first: int, count: int) -> Episodes:
        """Tasks number first, first + 1, …: inputs (tasks, n, 1), targets (tasks, n, 1).

        Args:
            split: any name; each has a stream of its own, and as waves are drawn from a continuum no task is in two.
            first: number of the first task.
            count: how many.
        """
        numbers = torch.arange(first, first + count)
        return Episodes(self._side("support", self.shots, split, numbers), self._side("query", self.queries, split, numbers))

    def waves(self, split: str, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Amplitude and phase of tasks by their numbers, (tasks, 1) each."""
        stream = f"{self.seed}/{split}"
        return uniform(f"{stream}/amplitude", numbers, 1, *self.amplitude), uniform(f"{stream}/phase", numbers, 1, *self.phase)

    def _side(self, side: str, n: int, split: str, numbers: Tensor) -> Labelled:
        amplitude, phase = self.waves(split, numbers)
        x = uniform(f"{self.seed}/{split}/{side}", numbers, n, *self.inputs)
        y = amplitude * torch.sin(x - phase)
        return Labelled(x[..., None].to(self.dtype), y[..., None].to(self.dtype))
