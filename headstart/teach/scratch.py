"""What the examples are worth without a start: adapters from a blank LoRA, held out on the same folds, beside the others in the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from headstart.episode import Example
from headstart.lm.load import Base
from headstart.teach.choose import NONE, Progress
from headstart.teach.lesson import Taught
from headstart.teach.recipe import Recipe, from_scratch, graft
from headstart.teach.report import SCRATCH, WAYS, Report, hold_out, report


def beside_scratch(base: Base, examples: Sequence[Example], taught: Taught, recipe: Recipe, progress: Progress) -> Taught:
    """The same, with one way more in its report; as it is where the adapter began from none itself, or has no report.

    Args:
        base: a loaded base; bare again afterwards.
        examples: those that were taught.
        taught: what came of them.
        recipe: of the adapters from scratch; its seed and its folds have to be those of what was taught.
        progress: told as work goes on.
    """
    if taught.report is None or taught.beginning.name == NONE:
        return taught
    recipe = from_scratch(recipe, len(examples))
    net = graft(base, recipe)
    try:
        held = hold_out(net, base.chat, examples, net.blank(recipe.seed), recipe, partial(progress, "from scratch"))
        # The base has answered already.
        found = report(net, base.chat, examples, held, recipe, partial(progress, "asking those from scratch"), WAYS[2:])
    finally:
        net.remove()
    return replace(taught, report=_joined(taught.report, found))


def _joined(told: Report, scratch: Report) -> Report:
    used = "prefixed" if scratch.keeps_prefix else "weights"
    answers = [replace(mine, got=mine.got | {SCRATCH: its.got[used]}) for mine, its in zip(told.answers, scratch.answers, strict=True)]
    return replace(told, ways=told.ways | {SCRATCH: scratch.ways[used]}, answers=answers)
