"""The main job: examples in, an adapter out, and then an honest report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from headstart.teach.report import Report, hold_out, report
from headstart.train.evaluate import distinct


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
    """None where no folds were asked for, or before it is there"""
    beginning: Beginning
    """from which it began"""
    losses: Mapping[str, float]
    """name -> held-out loss of each beginning that was tried; empty where one alone was"""
    glances: Mapping[str, float]
    """name -> loss of the examples in front of each other under each beginning before any step; empty where there was no choice"""


def teach(
    base: Base, examples: Sequence[Example], recipe: Recipe, start: Weights | None = None, progress: Progress = lambda *_: None
) -> Taught:
    """Adapt to examples, and score how well that works on examples held out.

    Args:
        base: a loaded base; bare again afterwards.
        examples: two at least.
        recipe: see there.
        start: where to begin, an adapter on the recipe's sites; None: a blank LoRA.
        progress: told as work goes on.

    Raises:
        ExamplesError: fewer than two examples, all equal where some are to be held out, or one that does not fit the model's context.
        Diverged: a loss is not finite.
    """
    return teach_from(base, examples, [Beginning(NONE if start is None else "given", recipe, start)], progress)


def teach_from(
    base: Base,
    examples: Sequence[Example],
    beginnings: Sequence[Beginning],
    progress: Progress = lambda *_: None,
    ready: Callable[[Taught], None] = lambda _: None,
) -> Taught:
    """The same from whichever beginning does best on the examples held out.

    Args:
        base: a loaded base; bare again afterwards.
        examples: two at least; more than `SHOWN` are taught each alone, and none is kept in front.
        beginnings: one at least; of equals the first is taken.
        progress: told as work goes on.
        ready: told of the adapter as soon as it is there, where its report is still to come, which takes most of the time.

    Raises:
        ExamplesError: fewer than two examples, all equal where some are to be held out, or one that does not fit the model's context.
        Diverged: a loss is not finite.
    """
    if len(examples) < 2:
        raise ExamplesError(
            "One example was given; at least two are needed, as each is held out once to score the others. Five to ten work well."
        )
    if any(it.recipe.folds for it in beginnings):
        distinct(examples, least=2)
    for example in examples:
        base.chat.example(example)
    chosen = choose(base, examples, [it.suiting(len(examples)) for it in beginnings], progress)
    recipe, net = chosen.beginning.recipe, graft(base, chosen.beginning.recipe)
    try:
        since, begin = time.perf_counter(), chosen.beginning.on(net)
        bank, steps = fit(net, base.chat, begin, {1: examples}, recipe, partial(progress, "adapting"))
        seconds, prefix = time.perf_counter() - since, tuple(examples) if recipe.prefix else ()
        taught = Taught(take(bank, 1), prefix, steps, seconds, peak_bytes(), None, chosen.beginning, chosen.losses, chosen.glances)
        if not recipe.folds:
            return taught
        ready(taught)
        held = chosen.held or hold_out(net, base.chat, examples, begin, recipe, partial(progress, "checking on held-out examples"))
        told = report(net, base.chat, examples, held, recipe, partial(progress, "asking what was held out"))
        told = replace(told, chosen=len(chosen.losses) > 1)
        return replace(taught, prefix=prefix if told.keeps_prefix else (), peak_memory_bytes=peak_bytes(), report=told)
    finally:
        net.remove()
