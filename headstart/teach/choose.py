"""Which start: each is tried on examples held out, and so is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from headstart.bank import Weights
from headstart.episode import Example
from headstart.lm.chat import Chat
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.lm.objective import example_losses, lower
from headstart.teach.fit import Tick, fit
from headstart.teach.recipe import Recipe, graft
from headstart.teach.report import held_out
from headstart.train.evaluate import mean

NONE = "none"


@final
@dataclass(frozen=True)
class Beginning:
    """One way to begin."""

    name: str
    recipe: Recipe
    weights: Weights | None = None
    """None: a blank LoRA."""


def choose(base: Base, examples: Sequence[Example], beginnings: Sequence[Beginning], tick: Tick) -> tuple[Beginning, dict[str, float]]:
    """The beginning from which held-out answers are likeliest, and each one's loss, in nats a token.

    A start that does not fit the task so loses to none on the user's own examples, and none is taken.

    Args:
        base: a loaded base; bare again afterwards.
        examples: two at least.
        beginnings: one at least; of equals the first is taken.
        tick: told after each step, of each beginning anew.
    """
    losses = {}
    for it in beginnings if len(beginnings) > 1 else ():
        net = graft(base, it.recipe)
        try:
            losses[it.name] = _held_out_loss(net, base.chat, examples, it, tick)
        finally:
            net.remove()
    return min(beginnings, key=lambda it: losses.get(it.name, 0.0)), losses


def _held_out_loss(net: Grafted, chat: Chat, examples: Sequence[Example], it: Beginning, tick: Tick) -> float:
    """Of the better of the adapter's weights alone and behind its examples, as it would be used."""
    parts, rest = held_out(examples, it.recipe)
    begin = it.weights or net.blank(it.recipe.seed, it.recipe.rank)
    bank, _ = fit(net, chat, {name: w.to(net.device) for name, w in begin.items()}, rest, it.recipe, tick)
    ways = []
    for prefixed in (False, True) if it.recipe.prefix else (False,):
        rows = [(slot, chat.lay(examples[i], rest[slot] if prefixed else ())) for slot, part in enumerate(parts, 1) for i in part]
        if all(len(row) <= chat.context for _, row in rows):
            ways.append(mean(example_losses(net, bank, rows, lower(net, [row for _, row in rows])).tolist()))
    return min(ways)
