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
from headstart.settings import below, refuse


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
    together: int = 1
    """Tasks in one pass, alike in size: 16 keep a GPU busy, and want the memory for as many; it changes nothing else."""

    def __post_init__(self) -> None:
        refuse(below(1, self, "together"))

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
        """The gradient of the mean query loss, a few tasks after the other, so that memory holds no more than their activations."""
        leaves = {name: w.detach().requires_grad_() for name, w in meta.items()}
        order = sorted(range(episodes.tasks), key=episodes.query.sizes.__getitem__)
        losses = []
        for at in range(0, len(order), self.together):
            query = episodes.query.part(order[at : at + self.together])
            each = query.losses(self.net(fill(part("net", leaves), query.tasks), query.asked.slots, query.asked.inputs))
            (each.sum() / episodes.tasks).backward()
            losses.append(each.detach())
        gradient = {name: torch.zeros_like(w) if w.grad is None else w.grad for name, w in leaves.items()}
        return gradient, torch.cat(losses)[torch.tensor(order).argsort()]
