"""Examples into slots: the inner loop with a language model's objective."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from headstart.bank import Bank, Weights, fill
from headstart.lm.batch import Encoded
from headstart.lm.graft import Grafted
from headstart.lm.objective import Lowered, objective
from headstart.teach.recipe import Recipe
from headstart.train.adapt import Schedule, adapt

Tick = Callable[[int, int], None]
"""Told (steps done, steps in all)."""


def fit(net: Grafted, begin: Weights, rows: Sequence[tuple[int, Encoded]], lowered: Lowered, recipe: Recipe, tick: Tick) -> tuple[Bank, int]:
    """Teach every slot its own examples, all slots at once.

    Args:
        net: the grafted model.
        begin: where every slot begins.
        rows: (slot, example) pairs; slots are 1, 2, … without gaps.
        lowered: the examples' kept lower layers.
        recipe: how long.
        tick: told after each step.

    Returns:
        The bank, and how many steps were made.
    """
    slots = max(slot for slot, _ in rows)
    schedule = Schedule() if recipe.steps is None else replace(Schedule(), steps=recipe.steps)
    made = 0

    def listen(step: int, _: Bank, losses: object) -> bool:
        nonlocal made
        made = step
        tick(step, schedule.steps)
        return recipe.steps is None and bool((losses[1:] < recipe.learnt).all())  # type: ignore[index]

    bank = adapt(fill(begin, slots), objective(net, rows, slots + 1, lowered), schedule, listen)
    return bank, made
