"""A batch of tasks a few at a time: the same meta-gradient in less memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from torch import Tensor, cat

from headstart.bank import Weights
from headstart.episode import Asked, Episodes, Labelled
from headstart.learners.learner import Learner, Meta
from headstart.settings import refuse


@final
@dataclass(frozen=True)
class InParts:
    """Another learner whose meta-gradient is taken over parts of the batch and averaged.

    Memory holds one part's activations. On a CPU it may be faster too, once a batch's activations outgrow the cache: for `Conv4` about
    100 to 200 images a part.
    """

    learner: Learner
    """Who learns."""
    tasks: int = 8
    """Most tasks in a part."""

    def __post_init__(self) -> None:
        refuse([f"tasks is {self.tasks}; 1 or more is wanted."] if self.tasks < 1 else [])

    def begin(self, seed: int) -> Meta:
        """As the other learner has it."""
        return self.learner.begin(seed)

    def adapt(self, meta: Meta, support: Labelled) -> Any:
        """As the other learner has it, all tasks at once."""
        return self.learner.adapt(meta, support)

    def predict(self, meta: Meta, fast: Any, asked: Asked) -> Tensor:
        """As the other learner has it."""
        return self.learner.predict(meta, fast, asked)

    def meta_gradient(self, meta: Meta, episodes: Episodes) -> tuple[Weights, Tensor]:
        """The mean over all tasks, and each task's loss."""
        parts = [episodes.part(slice(at, at + self.tasks)) for at in range(0, episodes.tasks, self.tasks)]
        done = [(part.tasks / episodes.tasks, *self.learner.meta_gradient(meta, part)) for part in parts]
        [(first, gradient, _), *rest] = done
        total = {name: first * g for name, g in gradient.items()}
        for share, gradient, _ in rest:
            total = {name: total[name] + share * g for name, g in gradient.items()}
        return total, cat([losses for _, _, losses in done])
