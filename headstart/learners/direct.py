"""No inner steps: one set of weights for all tasks, whose support, where it is seen at all, stands in front of the question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from headstart.bank import Bank, Weights, fill
from headstart.episode import Asked, Drawn, Shown
from headstart.learners.learner import Meta
from headstart.learners.parts import part, prefixed
from headstart.net import Net


@final
@dataclass(frozen=True)
class Direct:
    """meta_gradient = mean over tasks of dL_query/dmeta.

    What the query holds makes the method. Questions that stand behind the support: in-context learning, trained for. Questions alone:
    multi-task training, the baseline that a start must beat.

    Meta: the weights "net.*". Fast: a bank, the same weights in every slot.

    Source: Min et al. 2022, MetaICL, section 3; Chen et al. 2022, in-context tuning, equation 1.
    """

    net: Net
    """What is trained."""

    def begin(self, seed: int) -> Meta:
        """Fresh weights."""
        return prefixed("net", self.net.blank(seed))

    def adapt(self, meta: Meta, support: Shown) -> Bank:
        """The same weights for every task."""
        return fill({name: w.detach() for name, w in part("net", meta).items()}, support.tasks)

    def predict(self, meta: Meta, fast: Bank, asked: Asked) -> Tensor:
        """What the net gives."""
        return self.net(fast, asked.slots, asked.inputs)

    def meta_gradient(self, meta: Meta, episodes: Drawn[Shown]) -> tuple[Weights, Tensor]:
        """The gradient of the mean query loss, one task after the other, so that memory holds one task's activations."""
        leaves = {name: w.detach().requires_grad_() for name, w in meta.items()}
        losses = []
        for task in range(episodes.tasks):
            query = episodes.query.part(slice(task, task + 1))
            loss = query.losses(self.net(fill(part("net", leaves), 1), query.asked.slots, query.asked.inputs)).sum()
            (loss / episodes.tasks).backward()
            losses.append(loss.detach())
        return {name: torch.zeros_like(w) if w.grad is None else w.grad for name, w in leaves.items()}, torch.stack(losses)
