"""The inner loop: a few steps on a few examples, every slot of the bank at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from headstart.bank import Bank
from headstart.errors import Diverged
from headstart.terms import STEPS

Piece = Callable[[Bank], Tensor]
"""A part of the objective: bank -> each slot's share of its own loss, (slots,). The pieces of one bank add up."""
Draw = Callable[[int], Sequence[Piece]]
"""Step 0, 1, … -> the pieces of its objective."""
Listener = Callable[[int, Bank, Tensor], bool]
"""Told (steps done, bank, losses per slot before the step); True ends the loop."""
MEND = "fewer --steps, or --start none (over the API a smaller learning_rate_multiplier),"
"""What may help where adapting diverges."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to step. The defaults are those with the best score per second on unseen dialects."""

    steps: int = STEPS
    """Most steps."""
    rate: float = 1e-2
    """Adam's step size at its height."""
    warm: int = 2
    """Steps over which the rate rises to its height; it then falls along a cosine to a tenth."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Adam's decays."""

    def rate_at(self, step: int) -> float:
        """The step size of step 0, 1, …"""
        rise = min(1.0, (step + 1) / self.warm) if self.warm else 1.0
        return self.rate * rise * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / max(self.steps, 1))))


def adapt(bank: Bank, draw: Draw, schedule: Schedule, listen: Listener = lambda *_: False) -> Bank:
    """Step every slot down its own loss.

    Slots are disjoint, so the gradient of the sum of their losses is each slot's own, and one Adam step on the stack is every
    slot's step: adapting together equals adapting alone. Slot 0 is picked by no row, has no gradient and stays zero.

    Args:
        bank: where to begin, name -> (slots, ...); left as it is.
        draw: the objective of each step in pieces, so that memory holds one piece's activations at a time.
        schedule: steps and rates.
        listen: told after each step; may end the loop.

    Returns:
        The adapted bank, without a graph.

    Raises:
        Diverged: a loss is not finite.

    Source: the inner loop of Finn et al. 2017, MAML, algorithm 1, with Kingma & Ba 2015, Adam, as the update.
    """
    leaves = {name: stack.detach().clone().requires_grad_() for name, stack in bank.items()}
    # On a processor torch would step one tensor after the other if it were not told.
    fused = all(leaf.is_cpu for leaf in leaves.values()) or None
    optimiser = torch.optim.Adam(leaves.values(), lr=schedule.rate, betas=schedule.betas, fused=fused)
    for step in range(schedule.steps):
        optimiser.param_groups[0]["lr"] = schedule.rate_at(step)
        optimiser.zero_grad()
        losses = sum_pieces(leaves, draw(step), backward=True)
        if not torch.isfinite(losses).all():
            raise Diverged(f"The loss is no longer a number at step {step + 1}: {MEND} may help.")
        optimiser.step()
        if listen(step + 1, leaves, losses):
            break
    return {name: leaf.detach() for name, leaf in leaves.items()}


def sum_pieces(bank: Bank, pieces: Sequence[Piece], backward: bool = False) -> Tensor:
    """Each slot's loss, (slots,), added over the pieces; with `backward`, gradients are added up on the way."""
    found = []
    for piece in pieces:
        losses = piece(bank)
        if backward:
            losses.sum().backward()
        found.append(losses.detach())
    return reduce(torch.add, found)
