"""The main job: examples in, an adapter and an honest report out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

from headstart.bank import Weights, take
from headstart.episode import Example
from headstart.errors import ExamplesError
from headstart.lm.load import Base
from headstart.plan.memory import peak_bytes
from headstart.teach.choose import NONE, Beginning, Progress, choose
from headstart.teach.fit import fit
from headstart.teach.recipe import Recipe, graft
from headstart.teach.report import Report, report


@final
@dataclass(frozen=True)
class Taught:
    """An adapter and the facts about it."""

    weights: Weights
    prefix: tuple[Example, ...]
    """examples to keep in front of every prompt; empty where held-out scores say that it does not pay"""
    steps: int
    seconds: float
    """adaptation alone, the report not counted"""
    peak_memory_bytes: int
    report: Report | None
    """None where no folds were asked for"""
    beginning: Beginning
    """from which it began"""
    losses: Mapping[str, float]
    """name -> held-out loss of each beginning that was tried; empty where there was no choice"""
    glances: Mapping[str, float]
    """name -> loss of the examples in front of each other under each beginning before any step; empty where there was no choice"""


def teach(
    base: Base, examples: Sequence[Example], recipe: Recipe, start: Weights | None = None, progress: Progress = lambda *_: None
) -> Taught:
    """Adapt to examples, and score on the way how well that works on examples held out.

    Args:
        base: a loaded base; bare again afterwards.
        examples: two at least.
        recipe: see there.
        start: where to begin, an adapter on the recipe's sites; None: a blank LoRA.
        progress: told as work goes on.

    Raises:
        ExamplesError: fewer than two examples, or one that does not fit the model's context.
        Diverged: a loss is not finite.
    """
    return teach_from(base, examples, [Beginning(NONE if start is None else "given", recipe, start)], progress)


def teach_from(base: Base, examples: Sequence[Example], beginnings: Sequence[Beginning], progress: Progress = lambda *_: None) -> Taught:
    """The same from whichever beginning does best on the examples held out.

    Args:
        base: a loaded base; bare again afterwards.
        examples: two at least.
        beginnings: one at least; of equals the first is taken.
        progress: told as work goes on.

    Raises:
        ExamplesError: fewer than two examples, or one that does not fit the model's context.
        Diverged: a loss is not finite.
    """
    if len(examples) < 2:
        raise ExamplesError(
            "One example was given; at least two are needed, as each is held out once to score the others. Five to ten work well."
        )
    for example in examples:
        base.chat.example(example)
    chosen = choose(base, examples, beginnings, progress)
    recipe, net = chosen.beginning.recipe, graft(base, chosen.beginning.recipe)
    try:
        told = (
            None
            if chosen.held is None
            else report(net, base.chat, examples, chosen.held, recipe, partial(progress, "asking what was held out"))
        )
        since = time.perf_counter()
        begin = chosen.beginning.on(net)
        bank, steps = fit(net, base.chat, begin, {1: examples}, recipe, partial(progress, "adapting"))
        seconds = time.perf_counter() - since
        prefix = tuple(examples) if recipe.prefix and (told is None or told.keeps_prefix) else ()
        return Taught(take(bank, 1), prefix, steps, seconds, peak_bytes(), told, chosen.beginning, chosen.losses, chosen.glances)
    finally:
        net.remove()
