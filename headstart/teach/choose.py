"""Which start: those that a glance does not rule out are tried on examples held out, and so is none.

A glance is one pass over the examples in front of each other, without a step. It costs a second where trying costs half a minute, so
the number of starts hardly counts.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import final

from headstart.bank import Weights, fill
from headstart.episode import Example
from headstart.errors import Diverged
from headstart.lm.behind import behind
from headstart.lm.chat import Chat
from headstart.lm.expect import judged
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.lm.objective import example_losses
from headstart.lm.passes import deal
from headstart.teach.fit import Tick
from headstart.teach.recipe import Recipe, from_scratch, graft, shown
from headstart.teach.report import Folds, hold_out
from headstart.terms import PIECE
from headstart.train.adapt import MEND
from headstart.train.evaluate import mean

Progress = Callable[[str, int, int, Mapping[str, float]], None]
"""Told (what is being done, steps done, steps in all, figures by name)."""
NONE = "none"
"""The name of a blank LoRA."""
NEAR = 0.7
"""A start under which the examples lose less than this share of the base's loss is near: none is not tried, unless weights are wanted
that stand alone, of which examples in front of each other tell too little. Chosen on validation tasks, where starts had 0.5 to 0.6 on
tasks of the kind that they were trained on and mostly 0.8 or more on others."""
FAR = 1.2
"""A start under which they lose more than this share does harm, and is not tried."""
CLOSE = 1.1
"""A start that is further than this from the best one is not tried."""


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
        return {name: w.to(net.device) for name, w in self.weights.items()} if self.weights else net.blank(self.recipe.seed)

    def suiting(self, examples: int) -> Beginning:
        """The same for so many examples; see `shown` and `from_scratch`."""
        return replace(self, recipe=(from_scratch if self.weights is None else shown)(self.recipe, examples))


@final
@dataclass(frozen=True, eq=False)
class Chosen:
    """A beginning, and what was found out on the way."""

    beginning: Beginning
    held: Folds | None
    """its folds' adapters; None where it was not tried against others"""
    losses: Mapping[str, float]
    """held-out loss of each beginning that was tried and did not diverge, in nats a token; empty where one alone was worth trying"""
    glances: Mapping[str, float]
    """loss of the examples in front of each other under each beginning without a step, where finite; empty where there was no choice"""


def choose(base: Base, examples: Sequence[Example], beginnings: Sequence[Beginning], progress: Progress) -> Chosen:
    """The beginning from which held-out answers are likeliest.

    A start that does not fit the task loses to none on the user's own examples, and none is taken. One that diverges loses to all.

    Args:
        base: a loaded base; bare again afterwards.
        examples: two at least, each within the model's context.
        beginnings: one at least, with folds where there are several; of equals the first is taken.
        progress: told as work goes on.

    Raises:
        ExamplesError: of examples to hold out, all are equal.
        Diverged: all do that are tried.
    """
    glances = _glances(base, examples, beginnings, partial(progress, "looking at starts")) if len(beginnings) > 1 else {}
    tried = _worth_trying(beginnings, glances) if glances else list(beginnings)
    if len(tried) == 1:
        return Chosen(tried[0], None, {}, glances)
    held: dict[str, Folds] = {}
    losses: dict[str, float] = {}
    diverged: list[Diverged] = []
    for it in tried:
        try:
            held[it.name], losses[it.name] = _held_out(base, examples, it, progress)
        except Diverged as error:
            diverged.append(error)
    if not losses:
        raise diverged[0]
    best = min((it for it in tried if it.name in losses), key=lambda it: losses[it.name])
    return Chosen(best, held[best.name], losses, glances)


def _held_out(base: Base, examples: Sequence[Example], it: Beginning, progress: Progress) -> tuple[Folds, float]:
    """The folds' adapters from one beginning, and the finite loss of what they were not shown."""
    net = graft(base, it.recipe)
    try:
        tick = partial(progress, f"checking on held-out examples, from {it.name}")
        held = hold_out(net, base.chat, examples, it.on(net), it.recipe, tick)
        loss = _loss(net, base.chat, examples, held, it.recipe)
    finally:
        net.remove()
    if not math.isfinite(loss):
        raise Diverged(f"From {it.name}, the loss of held-out examples is no number: {MEND} may help.")
    return held, loss


def _glances(base: Base, examples: Sequence[Example], beginnings: Sequence[Beginning], tick: Tick) -> dict[str, float]:
    """Loss of the examples in front of each other, by name, where it is finite; of a blank LoRA, the base's."""
    chains = deal(base.chat, examples, min(PIECE, base.chat.context), random.Random(0))
    found: dict[str, float] = {}
    for done, it in enumerate(beginnings, start=1):
        net = graft(base, it.recipe)
        try:
            bank = fill(it.on(net), 1)
            loss = mean(example_losses(net, bank, [(1, chain) for chain in chains], {}).tolist())
        finally:
            net.remove()
        found |= {it.name: loss} if math.isfinite(loss) else {}
        tick(done, len(beginnings), found)
    return found


def _worth_trying(beginnings: Sequence[Beginning], glances: Mapping[str, float]) -> list[Beginning]:
    starts = [it for it in beginnings if it.weights is not None and it.name in glances]
    none = [it for it in beginnings if it.weights is None]
    best = min((glances[it.name] for it in starts), default=math.inf)
    if not none:
        return [it for it in starts if glances[it.name] <= CLOSE * best]
    bare = glances.get(none[0].name, math.inf)
    kept = [it for it in starts if glances[it.name] <= min(CLOSE * best, FAR * bare)]
    near = none[0].recipe.prefix and best <= NEAR * bare
    return kept if kept and near else [*none, *kept]


def _loss(net: Grafted, chat: Chat, examples: Sequence[Example], held: Folds, recipe: Recipe) -> float:
    """Of the better of the adapters' weights alone and behind their examples, as they would be used."""
    ways = [[[(slot, chat.lay(examples[i])) for slot, part in enumerate(held.parts, 1) for i in part]]]
    if recipe.prefix:
        ways.append([[(slot, behind(chat, held.rest[slot], examples[i])[0]) for i in part] for slot, part in enumerate(held.parts, 1)])
    return min(mean([loss for group in groups for loss in judged(net, held.bank, group, recipe.asked)]) for groups in ways)
