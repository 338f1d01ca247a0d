"""Examples into slots: the inner loop with a language model's objective."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from headstart.bank import Bank, Weights, fill
from headstart.episode import Example
from headstart.lm.batch import Encoded
from headstart.lm.chat import Chat
from headstart.lm.graft import Grafted
from headstart.lm.objective import BUDGET, lower, objective
from headstart.lm.passes import deal
from headstart.teach.recipe import Recipe
from headstart.train.adapt import Schedule, adapt

Tick = Callable[[int, int], None]
"""Told (steps done, steps in all)."""
Rows = list[tuple[int, Encoded]]
"""(slot, sequence) pairs."""


def fit(net: Grafted, chat: Chat, begin: Weights, taught: Mapping[int, Sequence[Example]], recipe: Recipe, tick: Tick) -> tuple[Bank, int]:
    """Teach every slot its own examples, all slots at once.

    Args:
        net: the grafted model.
        chat: its template.
        begin: where every slot begins.
        taught: slot -> its examples; slots are 1, 2, … without gaps.
        recipe: how long, and in which form the examples are shown.
        tick: told after each step.

    Returns:
        The bank, and how many steps were made.
    """
    schedule = Schedule() if recipe.steps is None else replace(Schedule(), steps=recipe.steps)
    passes = lay_out(chat, taught, recipe, schedule.steps)
    lowered = lower(net, [e for rows in passes for _, e in rows])
    pieces = [objective(net, rows, len(taught) + 1, lowered) for rows in passes]
    made = 0

    def listen(step: int, _: Bank, losses: Tensor) -> bool:
        nonlocal made
        made = step
        tick(step, schedule.steps)
        return recipe.steps is None and bool((losses[1:] < recipe.learnt).all())

    bank = adapt(fill(begin, len(taught)), lambda step: pieces[step % len(pieces)], schedule, listen)
    return bank, made


def lay_out(chat: Chat, taught: Mapping[int, Sequence[Example]], recipe: Recipe, steps: int) -> list[Rows]:
    """The passes that the steps go through in turn: plain pairs, or several orders of conversations."""
    if not recipe.prefix:
        return [[(slot, chat.lay(e)) for slot, examples in taught.items() for e in examples]]
    rng = random.Random(recipe.seed)
    budget = min(BUDGET, chat.context)
    return [
        [(slot, chain) for slot, examples in taught.items() for chain in deal(chat, examples, budget, rng)]
        for _ in range(min(recipe.orders, steps))
    ]
