"""How to step from a start: the number of steps and their size that serve unseen tasks best, chosen on validation tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from headstart.bank import Weights
from headstart.lm.batch import Encoded
from headstart.lm.behind import behind
from headstart.lm.chat import Chat
from headstart.lm.graft import Grafted
from headstart.lm.objective import example_losses, lower
from headstart.tasks.family import Lesson
from headstart.teach.fit import fit
from headstart.teach.recipe import Recipe
from headstart.terms import PIECE
from headstart.train.evaluate import mean

GRID = tuple(Recipe(steps=steps, rate=rate) for steps, rate in ((0, 0.001), (5, 0.0005), (5, 0.002), (10, 0.001), (10, 0.002), (10, 0.005)))
"""No more than ten steps: a start that needs more is none; and none at all, where the examples in front say enough."""


def tune(
    net: Grafted,
    chat: Chat,
    begin: Weights,
    lessons: Sequence[Lesson],
    tick: Callable[[int, int], None],
    piece: int = PIECE,
    grid: Sequence[Recipe] = GRID,
) -> dict[Recipe, float]:
    """Each recipe's mean loss on the queries, asked behind as much of the support as fits, after adapting to it: the lowest serves best.

    Args:
        net: grafted at the start's sites.
        chat: its template.
        begin: the start.
        lessons: validation tasks.
        tick: told (recipes done, recipes in all).
        piece: tokens that are taught at once.
        grid: recipes to try.
    """
    taught = {slot: list(lesson.support) for slot, lesson in enumerate(lessons, 1)}
    rows = [(slot, row) for slot, lesson in enumerate(lessons, 1) for row in _asked(chat, lesson)]
    lowered = lower(net, [row for _, row in rows])
    losses = {}
    for done, recipe in enumerate(grid, 1):
        bank, _ = fit(net, chat, begin, taught, replace(recipe, piece=piece), lambda *_: None)
        losses[recipe] = mean(example_losses(net, bank, rows, lowered).tolist())
        tick(done, len(grid))
    return losses


def _asked(chat: Chat, lesson: Lesson) -> list[Encoded]:
    return [behind(chat, lesson.support, query)[0] for query in lesson.query]
