"""The meta-step: a rule that takes weights down a direction, as a pure function; what it remembers is passed in and handed back.

Weights, direction and memory are each one flat vector here: one norm, one all-reduce and a handful of operations, whatever
the number of tensors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

from headstart.bank import Weights
from headstart.settings import refuse

Moments = dict[str, Tensor]
"""What an optimiser remembers of former steps: "first" and "second", (size,) each."""

_SIZES = ("rate.", "log_scale")
"""Beginnings of the names of what is learned besides weights."""


@final
@dataclass(frozen=True)
class Outer:
    """How many meta-steps are made, over how many tasks each, and by which rule."""

    steps: int = 1000
    """Meta-steps."""
    batch: int = 4
    """Tasks in a meta-step."""
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    """The rule; Reptile's is sgd with rate 1."""
    rate: float = 1e-3
    """Step size at its height."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How the rate goes on from its height; the last two fall to 0 at the last step."""
    warm: int = 0
    """Steps over which the rate rises to its height."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's decays of the mean and of the mean square."""
    momentum: float = 0.0
    """Sgd's decay of the sum of former directions."""
    decay: float = 0.0
    """Weight decay: adamw takes it off the weights, the others add it to the direction. Learned step sizes and scales keep theirs."""
    clip: float | None = None
    """Longest direction, in the Euclidean norm over all weights; a longer one is shortened. None: any length."""

    def __post_init__(self) -> None:
        refuse(f"outer.{name} is {getattr(self, name)}; {wanted} is wanted." for name, wanted in self._unfit())

    def _unfit(self) -> list[tuple[str, str]]:
        least = [("steps", 0), ("batch", 1), ("warm", 0), ("decay", 0)]
        wrong = [(name, f"{low} or more") for name, low in least if not getattr(self, name) >= low]
        wrong += [] if 0 < self.rate < math.inf else [("rate", "more than 0, and a number,")]
        wrong += [] if all(0 <= beta < 1 for beta in self.betas) else [("betas", "0 or more and less than 1 each")]
        wrong += [] if 0 <= self.momentum < 1 else [("momentum", "0 or more and less than 1")]
        return wrong + ([] if self.clip is None or self.clip > 0 else [("clip", "more than 0, or none at all,")])

    def rate_at(self, step: int) -> float:
        """The step size of step 0, 1, …

        Source: "linear" is the schedule of Nichol et al. 2018, Reptile, in the authors' code; "cosine" Loshchilov & Hutter
        2017, SGDR, equation 5, without restarts.
        """
        gone = step / max(self.steps, 1)
        fall = {"constant": 1.0, "linear": 1 - gone, "cosine": 0.5 * (1 + math.cos(math.pi * gone))}[self.schedule]
        return self.rate * fall * min(1.0, (step + 1) / max(self.warm, 1))

    def begin(self, weights: Weights) -> Moments:
        """The memory before any step."""
        nothing = torch.zeros_like(flatten(weights))
        return {"first": nothing} if self.optimiser == "sgd" else {"first": nothing, "second": nothing}

    def move(self, weights: Weights, direction: Tensor, moments: Moments, step: int) -> tuple[Weights, Moments]:
        """Weights one step further down, and what is remembered of it; nothing is written to.

        Args:
            weights: name -> (...).
            direction: as `flatten` lays it out, (size,): a gradient, or Reptile's pseudo-gradient.
            moments: from `begin` or the step before.
            step: 0, 1, …

        Source: Kingma & Ba 2015, Adam, algorithm 1; Loshchilov & Hutter 2019, AdamW, algorithm 2.
        """
        at, rate = flatten(weights), self.rate_at(step)
        if self.clip is not None:
            direction = direction * (self.clip / (direction.norm() + 1e-6)).clamp(max=1.0)
        if self.decay:
            # For each weight; a step size or a scale of nothing would stop what it scales.
            decay = self.decay * flatten({name: torch.full_like(w, float(not name.startswith(_SIZES))) for name, w in weights.items()})
            at, direction = (at * (1 - rate * decay), direction) if self.optimiser == "adamw" else (at, direction + decay * at)
        down, moments = self._sgd(direction, moments) if self.optimiser == "sgd" else self._adam(direction, moments, step)
        return unflatten(at - rate * down, weights), moments

    def _sgd(self, direction: Tensor, moments: Moments) -> tuple[Tensor, Moments]:
        first = self.momentum * moments["first"] + direction
        return first, {"first": first}

    def _adam(self, direction: Tensor, moments: Moments, step: int) -> tuple[Tensor, Moments]:
        slow, slower = self.betas
        first = slow * moments["first"] + (1 - slow) * direction
        second = slower * moments["second"] + (1 - slower) * direction.square()
        scale = (second / (1 - slower ** (step + 1))).sqrt() + 1e-8
        return first / (1 - slow ** (step + 1)) / scale, {"first": first, "second": second}


def flatten(weights: Weights) -> Tensor:
    """All tensors end to end, by name: (size,). The order of the dict does not matter."""
    return torch.cat([weights[name].flatten() for name in sorted(weights)]) if weights else torch.zeros(0)


def unflatten(flat: Tensor, like: Weights) -> Weights:
    """The reverse of `flatten`: names, shapes and dtypes of `like`."""
    names = sorted(like)
    parts = dict(zip(names, flat.split([like[name].numel() for name in names]), strict=True))
    return {name: parts[name].view(w.shape).to(w.dtype) for name, w in like.items()}
