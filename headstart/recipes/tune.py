"""How to step from a start: the number of steps and their size that serve unseen tasks best, chosen on validation tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from headstart.bank import Weights
from headstart.lm.batch import Encoded
from headstart.lm.chat import Chat
from headstart.lm.graft import Grafted
from headstart.lm.objective import BUDGET, example_losses, lower
from headstart.tasks.family import Lesson
from headstart.teach.asking import in_context
from headstart.teach.fit import fit
from headstart.teach.recipe import Recipe
from headstart.train.evaluate import mean

BEHIND = tuple(Recipe(steps, rate) for steps, rate in ((0, 0.001), (5, 0.0005), (5, 0.002), (10, 0.001), (10, 0.002), (10, 0.005)))
"""No more than ten steps: a start that needs more is none; and none at all, where the examples in front say enough."""
ALONE = tuple(Recipe(steps, rate, prefix=False) for steps, rate in ((10, 0.005), (20, 0.005)))
"""For weights that need no examples in front, which have to know by heart what they could otherwise read. Two, as a step costs as much
as one behind examples and a user waits for the start."""


def tune(
    net: Grafted,
    chat: Chat,
    begin: Weights,
    lessons: Sequence[Lesson],
    tick: Callable[[int, int], None],
    piece: int = BUDGET,
    grid: Sequence[Recipe] = (*BEHIND, *ALONE),
) -> dict[Recipe, float]:
    """Each recipe's mean loss on the queries after adapting to the support, asked as the recipe means it: alone, or behind as much of the
    support as fits. Of either kind the lowest serves best.

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
    asked = {
        prefix: [(slot, row) for slot, lesson in enumerate(lessons, 1) for row in _asked(chat, lesson, prefix)]
        for prefix in {recipe.prefix for recipe in grid}
    }
    lowered = lower(net, [row for rows in asked.values() for _, row in rows])
    losses = {}
    for done, recipe in enumerate(grid, 1):
        bank, _ = fit(net, chat, begin, taught, replace(recipe, piece=piece), lambda *_: None)
        losses[recipe] = mean(example_losses(net, bank, asked[recipe.prefix], lowered).tolist())
        tick(done, len(grid))
    return losses


def _asked(chat: Chat, lesson: Lesson, behind: bool = True) -> list[Encoded]:
    room = max(len(chat.lay(query).completion) for query in lesson.query)
    return in_context(chat, lesson.support if behind else (), lesson.query, room)[0]
