"""The baseline: train on all tasks at once as if they were one, then fine-tune."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from headstart.bank import Bank, Weights, fill
from headstart.episode import Asked, Episodes, Labelled
from headstart.learners.inner import Inner, Sgd, descend
from headstart.learners.learner import Meta
from headstart.learners.parts import mean_gradient, part, prefixed
from headstart.net import Net
from headstart.settings import below, refuse


@final
@dataclass(frozen=True)
class Joint:
    """meta_gradient = mean over tasks of dL/dmeta on support and query together; a new task takes MAML's gradient steps from there.

    What a learner of tasks must beat. Where classes are numbered anew in each task there is nothing to be trained jointly: the baseline
    is then the steps alone.

    Meta: the weights "net.*". Fast: a bank, one slot a task.

    Source: Finn et al. 2017, MAML, section 5.1, "pretraining on all of the tasks".
    """

    net: Net
    """What is trained, then fine-tuned."""
    steps: int = 1
    """Gradient steps inside a task; training takes none."""
    rate: float = 0.01
    """Step size inside a task."""
    inner: Inner = field(default_factory=Sgd)
    """The optimiser inside a task."""

    def __post_init__(self) -> None:
        refuse(below(0, self, "steps", "rate"))

    def begin(self, seed: int) -> Meta:
        """Fresh weights."""
        return prefixed("net", self.net.blank(seed))

    def adapt(self, meta: Meta, support: Labelled) -> Bank:
        """One slot a task, after `steps` steps; without a graph."""
        return descend(self.net, meta, lambda _: support, self.inner, self.rate, self.steps)[0]

    def predict(self, meta: Meta, fast: Bank, asked: Asked) -> Tensor:
        """What the net gives under each row's own slot."""
        return self.net(fast, asked.slots, asked.inputs)

    def meta_gradient(self, meta: Meta, episodes: Episodes) -> tuple[Weights, Tensor]:
        """The gradient of the mean loss of all examples, and each task's query loss before any step."""
        sides = (episodes.support, episodes.query)
        all_shown = Labelled(*(torch.cat(values, dim=1) for values in ([s.inputs for s in sides], [s.targets for s in sides])))
        shots = episodes.support.inputs.shape[1]

        def objective(leaves: Weights) -> tuple[Tensor, Tensor]:
            slots = torch.ones_like(all_shown.asked.slots)
            outputs = self.net(fill(part("net", leaves), 1), slots, all_shown.inputs)
            return all_shown.losses(outputs), episodes.query.losses(outputs[:, shots:])

        return mean_gradient(meta, objective)
