"""MAML with implicit gradients: the meta-gradient from where the inner loop ended, whatever way it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from headstart.bank import Bank, Weights
from headstart.episode import Asked, Episodes, Labelled
from headstart.learners.inner import Inner, Sgd, descend, slopes
from headstart.learners.learner import Meta
from headstart.learners.parts import prefixed
from headstart.net import Net
from headstart.settings import below, not_above_none, refuse


@final
@dataclass(frozen=True)
class Implicit:
    """The inner loop comes near the minimum w* of L_support(w) + strength/2 |w - meta|^2, and

        meta_gradient = mean over tasks of (I + H / strength)^-1 dL_query/dw (w*),  H the Hessian of L_support at w*.

    Conjugate gradients solve for it, all tasks at once, from products of H with a vector. Memory does not grow with the steps; the
    result is only as exact as the minimum is near.

    Meta: the initial weights "net.*". Fast: a bank, one slot a task.

    Source: Rajeswaran et al. 2019, Meta-Learning with Implicit Gradients, equations 3, 6 and 7, algorithms 1 and 2.
    """

    net: Net
    """What is adapted."""
    steps: int = 16
    """Gradient steps inside a task."""
    rate: float = 0.01
    """Step size inside a task."""
    strength: float = 2.0
    """How strongly a task is held to the initial weights, the paper's lambda."""
    solves: int = 5
    """Steps of conjugate gradients; 0: the query's own gradient, as in FOMAML."""
    inner: Inner = field(default_factory=Sgd)
    """The optimiser inside a task."""

    def __post_init__(self) -> None:
        refuse(below(0, self, "steps", "rate", "solves") + not_above_none(self, "strength"))

    def begin(self, seed: int) -> Meta:
        """Fresh weights."""
        return prefixed("net", self.net.blank(seed))

    def adapt(self, meta: Meta, support: Labelled) -> Bank:
        """One slot a task, after `steps` steps; without a graph."""
        return descend(self.net, meta, lambda _: support, self.inner, self.rate, self.steps, pull=self.strength)[0]

    def predict(self, meta: Meta, fast: Bank, asked: Asked) -> Tensor:
        """What the net gives under each row's own slot."""
        return self.net(fast, asked.slots, asked.inputs)

    def meta_gradient(self, meta: Meta, episodes: Episodes) -> tuple[Weights, Tensor]:
        """The implicit gradient, and each task's query loss after its steps."""
        fast = self.adapt(meta, episodes.support)
        with torch.enable_grad():
            point = _rows(fast).requires_grad_()
            bank = _bank(point, fast)
            losses = episodes.query.losses(self.predict(meta, bank, episodes.query.asked))
            [wanted] = torch.autograd.grad(losses.sum(), point, retain_graph=True)
            slope = _rows(slopes(self.net, bank, tuple(bank), episodes.support, second=True))

            def bent(v: Tensor) -> Tensor:
                # Tasks share nothing, so one product with the Hessian of all is every task's own.
                [curve] = torch.autograd.grad(slope, point, v, retain_graph=True)
                return v + curve / self.strength

            solved = conjugate(bent, wanted, self.solves)
        mean = _bank(solved.mean(0, keepdim=True), fast)
        return prefixed("net", {name: w[1] for name, w in mean.items()}), losses.detach()


def conjugate(product: Callable[[Tensor], Tensor], wanted: Tensor, steps: int) -> Tensor:
    """Rows x with product(x) = wanted, each row a problem of its own, by conjugate gradients from zero.

    A row that is solved, or whose matrix turns out not to be positive, goes no further; one that has not gone at all is `wanted` itself.

    Args:
        product: (rows, size) -> (rows, size), row by row by a symmetric matrix of its own.
        wanted: (rows, size).
        steps: how many; as many as `size` solve it exactly.

    Source: Hestenes & Stiefel 1952; Nocedal & Wright 2006, algorithm 5.2, and 7.1 for where the first direction bends back.
    """
    x, left, way = torch.zeros_like(wanted), wanted, wanted
    square = left.square().sum(1, keepdim=True)
    for _ in range(steps):
        turned = product(way)
        bend = (way * turned).sum(1, keepdim=True)
        # A row that goes no further keeps its direction, so that it is known again.
        alive = bend > 0
        far = torch.where(alive, square / bend, 0)
        x, left = x + far * way, left - far * turned
        before, square = square, left.square().sum(1, keepdim=True)
        way = torch.where(alive, left + square / before * way, way)
    return torch.where(x.any(1, keepdim=True), x, wanted)


def _rows(bank: Bank) -> Tensor:
    """The tasks' weights side by side: (tasks, size), the base's slot left out."""
    return torch.cat([stack[1:].flatten(1) for stack in bank.values()], dim=1)


def _bank(rows: Tensor, like: Mapping[str, Tensor]) -> Bank:
    """Rows of weights as a bank again."""
    sizes = [stack[0].numel() for stack in like.values()]
    stacks = {name: w.unflatten(1, like[name].shape[1:]) for name, w in zip(like, rows.split(sizes, dim=1), strict=True)}
    return {name: torch.cat([torch.zeros_like(w[:1]), w]) for name, w in stacks.items()}
