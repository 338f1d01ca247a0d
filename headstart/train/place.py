"""Where a run computes, and in which precision: tasks and weights are brought there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import torch

from headstart.episode import Drawn, Tasks
from headstart.learners.learner import Meta


@final
@dataclass(frozen=True)
class Place:
    """A device and a precision."""

    device: torch.device
    dtype: torch.dtype
    """Of everything that is not a whole number."""

    def weights(self, meta: Meta) -> Meta:
        """Weights, brought here."""
        return {name: w.to(self.device, self.dtype if w.is_floating_point() else w.dtype) for name, w in meta.items()}

    def tasks(self, tasks: Tasks) -> Tasks:
        """A source, whose tasks are then brought here."""
        return Placed(tasks, self)


@final
@dataclass(frozen=True)
class Placed:
    """A source whose tasks come where they are wanted."""

    tasks: Tasks
    place: Place

    def draw(self, split: str, first: int, count: int) -> Drawn[Any]:
        """As the source has them, brought there."""
        return self.tasks.draw(split, first, count).to(self.place.device, self.place.dtype)


HERE = Place(torch.device("cpu"), torch.float32)
"""The processor, in torch's usual precision."""
