"""Which start: each is tried on examples held out, and so is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

from headstart.bank import Weights
from headstart.episode import Example
from headstart.lm.chat import Chat
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.lm.objective import example_losses, lower
from headstart.teach.recipe import Recipe, graft
from headstart.teach.report import Folds, hold_out
from headstart.train.evaluate import mean

Progress = Callable[[str, int, int], None]
"""Told (what is being done, steps done, steps in all)."""
NONE = "none"
"""The name of a blank LoRA."""


@final
@dataclass(frozen=True, eq=False)
class Beginning:
    """One way to begin."""

    name: str
    recipe: Recipe
    weights: Weights | None = None
    """An adapter on the recipe's sites; None: a blank LoRA."""

    def on(self, net: Grafted) -> Weights:
        """The weights, where the net is."""
        return (
            {name: w.to(net.device) for name, w in self.weights.items()} if self.weights else net.blank(self.recipe.seed, self.recipe.rank)
        )


@final
@dataclass(frozen=True, eq=False)
class Chosen:
    """A beginning, and what was found out on the way."""

    beginning: Beginning
    held: Folds | None
    """its folds' adapters; None where its recipe wants none"""
    losses: Mapping[str, float]
    """each beginning's held-out loss, in nats a token; empty where there was no choice"""


def choose(base: Base, examples: Sequence[Example], beginnings: Sequence[Beginning], progress: Progress) -> Chosen:
    """The beginning from which held-out answers are likeliest.

    A start that does not fit the task so loses to none on the user's own examples, and none is taken.

    Args:
        base: a loaded base; bare again afterwards.
        examples: two at least, each within the model's context.
        beginnings: one at least, with folds where there are several; of equals the first is taken.
        progress: told as work goes on.
    """
    held: dict[str, Folds] = {}
    losses: dict[str, float] = {}
    for it in beginnings:
        if it.recipe.folds:
            net, what = graft(base, it.recipe), "checking on held-out examples" + (f", from {it.name}" if len(beginnings) > 1 else "")
            try:
                held[it.name] = hold_out(net, base.chat, examples, it.on(net), it.recipe, partial(progress, what))
                if len(beginnings) > 1:
                    losses[it.name] = _loss(net, base.chat, examples, held[it.name], it.recipe.prefix)
            finally:
                net.remove()
    best = min(beginnings, key=lambda it: losses.get(it.name, 0.0))
    return Chosen(best, held.get(best.name), losses)


def _loss(net: Grafted, chat: Chat, examples: Sequence[Example], held: Folds, prefix: bool) -> float:
    """Of the better of the adapters' weights alone and behind their examples, as they would be used."""
    ways = []
    for prefixed in (False, True) if prefix else (False,):
        rows = [(slot, chat.lay(examples[i], held.rest[slot] if prefixed else ())) for slot, part in enumerate(held.parts, 1) for i in part]
        if all(len(row) <= chat.context for _, row in rows):
            ways.append(mean(example_losses(net, held.bank, rows, lower(net, [row for _, row in rows])).tolist()))
    return min(ways)
