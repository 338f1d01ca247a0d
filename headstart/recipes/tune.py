"""How to step from a start: the number of steps and their size that serve unseen tasks best, chosen on validation tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headstart.bank import Weights
from headstart.lm.chat import Chat
from headstart.lm.graft import Grafted
from headstart.lm.objective import example_losses, lower
from headstart.tasks.family import Lesson
from headstart.teach.fit import fit
from headstart.teach.recipe import Recipe
from headstart.train.evaluate import mean

GRID = tuple(Recipe(steps=steps, rate=rate) for steps, rate in ((5, 0.002), (10, 0.001), (10, 0.002), (10, 0.005)))
"""No more than ten steps: a start that needs more is none. Of rates from 0.002 to 0.01 the first start wanted the lowest."""


def tune(
    net: Grafted, chat: Chat, begin: Weights, lessons: Sequence[Lesson], tick: Callable[[int, int], None], grid: Sequence[Recipe] = GRID
) -> dict[Recipe, float]:
    """Each recipe's mean loss on the queries, asked behind the support, after adapting to it: the lowest serves best.

    Args:
        net: grafted at the start's sites.
        chat: its template.
        begin: the start.
        lessons: validation tasks.
        tick: told (recipes done, recipes in all).
        grid: recipes to try.
    """
    taught = {slot: list(lesson.support) for slot, lesson in enumerate(lessons, 1)}
    rows = [(slot, chat.lay(query, lesson.support)) for slot, lesson in enumerate(lessons, 1) for query in lesson.query]
    lowered = lower(net, [row for _, row in rows])
    losses = {}
    for done, recipe in enumerate(grid, 1):
        bank, _ = fit(net, chat, begin, taught, recipe, lambda *_: None)
        losses[recipe] = mean(example_losses(net, bank, rows, lowered).tolist())
        tick(done, len(grid))
    return losses
