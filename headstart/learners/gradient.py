"""Model-agnostic meta-learning: an initialisation from which a few gradient steps are enough."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, final

import torch
from torch import Tensor

from headstart.bank import Bank, Weights, fill
from headstart.episode import Asked, Drawn, Shown
from headstart.errors import SettingsError, nearest
from headstart.learners.inner import Inner, Rates, Sgd, end, slopes, walk
from headstart.learners.learner import Meta
from headstart.learners.parts import mean_gradient, part, prefixed
from headstart.net import Net
from headstart.settings import below, refuse


@final
@dataclass(frozen=True)
class Maml:
    """Gradient steps on the support, and the query loss differentiated through them.

        w_0 = meta,  w_{k+1} = w_k - rate * dL_support/dw (w_k),  meta_gradient = mean over tasks of dL_query(w_K) / dmeta

    The family is one value with settings: `recipes/methods` names the first-order one, ANIL, Meta-SGD and LSLR, each with its paper. To
    adapt by another number of steps than was trained, `dataclasses.replace(learner, steps=10)`; learned step sizes beyond those that were
    trained are the last one's.

    Meta: the initial weights "net.*", and the step sizes "rate.*" if they are learned. Fast: a bank, one slot a task.

    Source: Finn et al. 2017, Model-Agnostic Meta-Learning, algorithm 1 and equation 1.
    """

    net: Net
    """What is adapted."""
    steps: int = 1
    """Gradient steps inside a task."""
    rate: float = 0.01
    """Step size inside a task; where step sizes are learned, the one they begin at."""
    order: Literal[1, 2] = 2
    """2: the exact meta-gradient, through the gradients of the inner steps. 1: those gradients are taken as constants."""
    learned: Literal["none", "tensor", "element"] = "none"
    """What has a step size of its own that is learned along with the weights: nothing, each tensor at each step, or each number."""
    adapts: tuple[str, ...] = ("",)
    """Beginnings of the names that inner steps move; the others are the same for all tasks."""
    emphasis: tuple[float, ...] = ()
    """Weight of the query loss after each step, for training, as in MAML++'s multi-step loss, which moves them to the last step on its way;
    these stay. None given: the last step's alone."""
    inner: Inner = field(default_factory=Sgd)
    """The optimiser inside a task."""

    def __post_init__(self) -> None:
        refuse(below(0, self, "steps", "rate"))

    def begin(self, seed: int) -> Meta:
        """Fresh weights, and step sizes that are all `rate`."""
        weights = self.net.blank(seed)
        moving = {name: weights[name] for name in self._moving(weights)}
        if self.learned == "none":
            rates: Weights = {}
        elif self.learned == "tensor":
            rates = {name: w.new_full((max(self.steps, 1),), self.rate) for name, w in moving.items()}
        else:
            rates = {name: torch.full_like(w, self.rate) for name, w in moving.items()}
        return prefixed("net", weights) | prefixed("rate", rates)

    def adapt(self, meta: Meta, support: Shown) -> Bank:
        """One slot a task, after `steps` steps; without a graph."""
        still = {name: w.detach() for name, w in meta.items()}
        return end(self._walk(still, support, second=False))[0]

    def predict(self, meta: Meta, fast: Bank, asked: Asked) -> Tensor:
        """What the net gives under each row's own slot."""
        return self.net(fast, asked.slots, asked.inputs)

    def meta_gradient(self, meta: Meta, episodes: Drawn[Shown]) -> tuple[Weights, Tensor]:
        """The gradient of the mean query loss, and each task's query loss after the last step.

        Learned step sizes need no second derivative: dw_{k+1}/drate = -g. So with order 1 they too have all of their gradient but
        what goes through later inner gradients.

        Raises:
            SettingsError: `emphasis` is not one weight a step, the last above 0.
        """
        weights = self._weights()

        def objective(leaves: Weights) -> tuple[Tensor, Tensor]:
            falling: Any = 0
            for weight, (fast, _) in zip(weights, self._walk(leaves, episodes.support, self.order == 2), strict=True):
                if weight:
                    losses = episodes.query.losses(self.predict(leaves, fast, episodes.query.asked))
                    falling = falling + weight * losses
            return falling, losses

        return mean_gradient(meta, objective)

    def _walk(self, meta: Meta, support: Shown, second: bool) -> Iterator[tuple[Bank, Any]]:
        bank = fill(part("net", meta), support.tasks)
        moving, learned = self._moving(bank), part("rate", meta)

        def slope(_: int, at: Bank) -> Bank:
            return slopes(self.net, at, moving, support, second)

        def rates(step: int) -> Rates:
            if self.learned == "none":
                return dict.fromkeys(moving, self.rate)
            return {name: r[min(step, len(r) - 1)] for name, r in learned.items()} if self.learned == "tensor" else learned

        return walk(slope, bank, self.inner, rates, self.steps)

    def _moving(self, names: Collection[str]) -> tuple[str, ...]:
        moving = tuple(name for name in names if name.startswith(self.adapts))
        if not moving:
            wanted = " or ".join(self.adapts)
            raise SettingsError(f"No weight of the net begins with '{wanted}', so there is nothing to adapt.{nearest(wanted, names)}")
        return moving

    def _weights(self) -> tuple[float, ...]:
        if not self.emphasis:
            return (0.0,) * self.steps + (1.0,)
        if len(self.emphasis) != self.steps or self.emphasis[-1] <= 0:
            raise SettingsError(
                f"emphasis is {list(self.emphasis)}; one weight for each of {self.steps} steps is wanted, the last above 0."
            )
        return (0.0, *self.emphasis)
