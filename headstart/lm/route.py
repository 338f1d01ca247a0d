"""What one call of a grafted model carries to its hooks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from headstart.bank import Bank, picked
from headstart.errors import BankError


@dataclass(frozen=True)
class Route:
    """See the module."""

    bank: Bank
    slots: Tensor
    """(rows,)"""
    keep: tuple[Tensor, Tensor] | None = None
    """rows and positions whose logits are wanted; None: the last position of every row"""
    below: Tensor | None = None
    """hidden states that stand in for all layers below the cut, (rows, length, width)"""
    depth: int | None = None
    """how many layers run, from the lowest up; None: all"""
    caught: list[Tensor] | None = None
    """when a list: put the hidden states that reach the head here, (targets, width), in place of running it"""
    given: Tensor | None = None
    """hidden states that stand in for those that reach the head, (n, width)"""
    probe: list[Tensor] | None = None
    """when a list: put the hidden states that leave those layers here"""

    @cached_property
    def picked(self) -> Tensor | slice:
        """The slots as the hooks pick by them."""
        return picked(self.slots)


def check(route: Route, tokens: Tensor) -> None:
    """See that every row has a slot, and that the slots are there.

    Raises:
        BankError: they do not fit.
    """
    rows = route.slots.shape[0]
    if rows != tokens.shape[0]:
        raise BankError(f"{tokens.shape[0]} rows of tokens came with {rows} slots: every row needs its own.")
    if route.bank and rows:
        slots = next(iter(route.bank.values())).shape[0]
        low, high = int(route.slots.min()), int(route.slots.max())
        if low < 0 or high >= slots:
            raise BankError(f"Slot {high if high >= slots else low} is not in this bank of {slots}.")
