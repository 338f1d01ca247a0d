"""Reptile: move the initialisation towards where each task's own training ends up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from headstart.bank import Bank, Weights, fill, take
from headstart.episode import Asked, Drawn, Shown
from headstart.learners.inner import Adam, Inner, descend
from headstart.learners.learner import Meta
from headstart.learners.parts import KEPT, part, prefixed
from headstart.net import Net
from headstart.settings import below, refuse


@final
@dataclass(frozen=True)
class Reptile:
    """Minibatch steps on the support; meta_gradient = meta - mean over tasks of w_K, which no loss need have as its gradient.

    Adam's running mean of squared gradients goes on from task to task, as in the authors' code: begun anew, its first steps are as large
    for every weight, however little its gradient says. It is part of the meta, and becomes the mean over tasks.

    Step k takes examples k * batch to (k + 1) * batch - 1 of the support, counted round: whoever draws the tasks has shuffled them. The
    outer loop steps by plain SGD with a rate that falls from 1 to 0. Queries are only scored.

    Meta: the initial weights "net.*", and what the optimiser keeps, "kept.*". Fast: a bank, one slot a task.

    Source: Nichol et al. 2018, On First-Order Meta-Learning Algorithms, algorithm 2; settings in its section 6 and the authors' code.
    """

    net: Net
    """What is adapted."""
    steps: int = 5
    """Minibatch steps inside a task."""
    rate: float = 1e-3
    """Step size inside a task."""
    batch: int = 10
    """Examples a step; all where the support has no more. A conversation of several is one."""
    inner: Inner = field(default_factory=lambda: Adam(first_decay=0.0))
    """The optimiser inside a task."""

    def __post_init__(self) -> None:
        refuse(below(0, self, "steps", "rate") + below(1, self, "batch"))

    def begin(self, seed: int) -> Meta:
        """Fresh weights, and an optimiser that has seen nothing."""
        weights = self.net.blank(seed)
        nothing = self.inner.kept(self.inner.begin(fill(weights, 1)))
        return prefixed("net", weights) | prefixed(KEPT, take(nothing, 1))

    def adapt(self, meta: Meta, support: Shown) -> Bank:
        """One slot a task, after `steps` steps; without a graph."""
        return self._walked(meta, support)[0]

    def predict(self, meta: Meta, fast: Bank, asked: Asked) -> Tensor:
        """What the net gives under each row's own slot."""
        return self.net(fast, asked.slots, asked.inputs)

    def meta_gradient(self, meta: Meta, episodes: Drawn[Shown]) -> tuple[Weights, Tensor]:
        """The pseudo-gradient, and each task's query loss after its steps."""
        fast, kept = self._walked(meta, episodes.support)
        with torch.no_grad():
            losses = episodes.query.losses(self.predict(meta, fast, episodes.query.asked))
            return prefixed("net", _away(part("net", meta), fast)) | prefixed(KEPT, _away(part(KEPT, meta), kept)), losses

    def _walked(self, meta: Meta, support: Shown) -> tuple[Bank, Bank]:
        """Each task's weights after its steps, and what the optimiser keeps of them."""
        kept = fill(part(KEPT, meta), support.tasks)
        bank, state = descend(
            self.net, meta, lambda step: support.minibatch(step, self.batch), self.inner, self.rate, self.steps, kept=kept
        )
        return bank, self.inner.kept(state)


def _away(weights: Weights, bank: Bank) -> Weights:
    """From the mean over tasks."""
    return {name: w - bank[name][1:].mean(0) for name, w in weights.items()}
