"""Cells of many tasks at once: LoRAs of all of them taught side by side, all their questions answered together. What a GPU is for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from headstart.bank import Bank, fill
from headstart.lm.behind import behind
from headstart.lm.expect import expect
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.lm.objective import example_losses, lower
from headstart.tasks.family import Family, Lesson
from headstart.teach import Beginning, Recipe
from headstart.teach.fit import fit
from headstart.teach.recipe import MANY, graft
from headstart.teach.worth import Asked
from headstart.terms import SHOWN, SPARE
from headstart.train.evaluate import mean

PIECE = 24576
"""Tokens of a pass: what keeps a large GPU busy."""
GRID = tuple(replace(MANY, steps=steps, rate=rate, piece=PIECE) for steps, rate in ((MANY.steps, MANY.rate), (200, 0.004)))
"""Of scratch with more examples than can stand in front of each other: chosen on validation tasks, for each number of examples."""
VALIDATION = 6
"""Tasks on which that is chosen."""


def taught(base: Base, net: Grafted, it: Beginning, lessons: Sequence[Lesson], stepped: bool) -> tuple[Bank, int]:
    """A bank with a slot for each task, and the steps that were made."""
    begin = it.on(net)
    if not stepped or not lessons[0].support:
        return fill(begin, len(lessons)), 0
    return fit(net, base.chat, begin, {i: lesson.support for i, lesson in enumerate(lessons, 1)}, it.recipe, lambda *_: None)


def answered(base: Base, net: Grafted, bank: Bank, lessons: Sequence[Lesson], shown: bool) -> list[list[str]]:
    """Greedy answers to each task's questions."""
    most = max(len(base.chat.lay(e).completion) for lesson in lessons for e in lesson.query) + SPARE
    rows = [
        (slot, row)
        for slot, lesson in enumerate(lessons, 1)
        for row, _ in (behind(base.chat, lesson.support if shown else (), question) for question in lesson.query)
    ]
    said = iter(expect(net, base.chat, bank, rows, most, len(rows)))
    return [[next(said).text for _ in lesson.query] for lesson in lessons]


def measured(base: Base, it: Beginning, lessons: Sequence[Lesson], stepped: bool) -> tuple[int, float, list[dict[Asked, list[str]]]]:
    """Steps, seconds of them a task, and each task's answers: behind the examples where they are few enough, and alone."""
    shots = len(lessons[0].support)
    it = replace(it, recipe=replace(it.recipe, prefix=it.recipe.prefix and shots <= SHOWN, piece=PIECE))
    net = graft(base, it.recipe)
    try:
        since = time.perf_counter()
        bank, steps = taught(base, net, it, lessons, stepped)
        seconds = (time.perf_counter() - since) / len(lessons)
        asked: list[Asked] = ["behind", "alone"] if it.recipe.prefix and shots else ["alone"]
        texts = {how: answered(base, net, bank, lessons, how == "behind") for how in asked}
        return steps, seconds, [{how: each[i] for how, each in texts.items()} for i in range(len(lessons))]
    finally:
        net.remove()


def tuned(base: Base, none: Beginning, family: Family, shots: int, queries: int) -> Recipe:
    """The recipe of scratch whose questions, asked alone, surprise least on validation tasks."""
    lessons = [family.lesson("validation", task, shots, queries) for task in range(VALIDATION)]
    net, losses = graft(base, none.recipe), []
    try:
        rows = [(slot, base.chat.lay(query)) for slot, lesson in enumerate(lessons, 1) for query in lesson.query]
        for recipe in GRID:
            bank, _ = taught(base, net, replace(none, recipe=recipe), lessons, True)
            losses.append(mean(example_losses(net, bank, rows, lower(net, [row for _, row in rows])).tolist()))
    finally:
        net.remove()
    print(f"{shots} examples: {[(it.steps, it.rate, loss) for it, loss in zip(GRID, losses, strict=True)]}", flush=True)
    return GRID[losses.index(min(losses))]
