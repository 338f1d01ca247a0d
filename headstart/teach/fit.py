"""Examples into slots: the inner loop with a language model's objective."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from headstart.bank import Bank, Weights, fill
from headstart.episode import Example, in_turn
from headstart.lm.chat import Chat
from headstart.lm.graft import Grafted
from headstart.lm.objective import lower, objective
from headstart.lm.passes import deal
from headstart.teach.recipe import Recipe
from headstart.terms import PIECE
from headstart.train.adapt import Draw, Piece, Schedule, adapt

Tick = Callable[[int, int, Mapping[str, float]], None]
"""Told (steps done, steps in all, figures by name: what is known of how it goes)."""


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
    schedule = Schedule(Schedule.steps if recipe.steps is None else recipe.steps, recipe.rate or Schedule.rate)
    made = 0

    def listen(step: int, _: Bank, losses: Tensor) -> bool:
        nonlocal made
        made = step
        tick(step, schedule.steps, {"loss": float(losses[1:].mean())})
        return recipe.steps is None and bool((losses[1:] < recipe.learnt).all())

    draw = (
        conversations(net, chat, taught, recipe.seed, recipe.piece)
        if recipe.prefix
        else pairs(net, chat, taught, recipe.piece, recipe.batch)
    )
    net.checkpoint(recipe.checkpoint)
    try:
        return adapt(fill(begin, len(taught)), draw, schedule, listen), made
    finally:
        net.checkpoint(False)


def pairs(net: Grafted, chat: Chat, taught: Mapping[int, Sequence[Example]], piece: int = PIECE, batch: int | None = None) -> Draw:
    """Each example alone, its lower layers computed once; every step takes the next `batch` of each slot, counted round, or all."""
    laid = {slot: [chat.lay(e) for e in examples] for slot, examples in taught.items()}
    lowered = lower(net, [e for mine in laid.values() for e in mine])

    def draw(step: int) -> list[Piece]:
        rows = [(slot, mine[i]) for slot, mine in laid.items() for i in in_turn(len(mine), step, batch or len(mine))]
        return objective(net, rows, len(taught) + 1, lowered, piece)

    if batch is not None and batch < max(map(len, laid.values())):
        return draw
    pieces = draw(0)
    return lambda _: pieces


def conversations(net: Grafted, chat: Chat, taught: Mapping[int, Sequence[Example]], seed: int, piece: int = PIECE) -> Draw:
    """A new order at every step: an order that came again would be learnt by heart. Each slot's is its own, whoever is taught beside it."""
    orders = {slot: random.Random(seed) for slot in taught}
    budget = min(piece, PIECE, chat.context)

    def draw(_: int) -> list[Piece]:
        rows = [(slot, chain) for slot, examples in taught.items() for chain in deal(chat, examples, budget, orders[slot])]
        return objective(net, rows, len(taught) + 1, lower(net, [e for _, e in rows]), piece)

    return draw
