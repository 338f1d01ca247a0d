"""What are more examples worth? The same questions after two, five, ten, … examples: from starts, from scratch, and without a step."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, final

from headstart.bank import fill
from headstart.episode import Example, right
from headstart.lm.load import Base
from headstart.teach.asking import Answers, answer
from headstart.teach.choose import NONE, Beginning, Progress
from headstart.teach.fit import Tick, fit
from headstart.teach.recipe import graft
from headstart.terms import SHOWN
from headstart.train.evaluate import distinct, interval, mean

COUNTS = (2, 5, 10, 20, 50, 100, 300, 1000)
BASE, PROMPT = "base", "prompt"
"""The ways without a step: bare, and with the examples in the prompt."""
LEAST = 6
"""Rows of a file, repeats left out: two questions, and two examples and more."""
_MOST, _SHARE = 50, 3
"""Questions that are kept apart: so many at most, and one in so many of the file."""
Asked = Literal["behind", "alone"]
"""Whether the examples stand in front of the questions."""


@final
@dataclass(frozen=True)
class Tried:
    """One way, on some examples and some questions."""

    steps: int
    seconds: float
    """Of the steps alone."""
    answers: Mapping[Asked, Answers]


@final
@dataclass(frozen=True)
class Cell:
    """A point of a curve."""

    way: str
    """`base`, `prompt`, `none` (from scratch) or a start."""
    examples: int
    asked: Asked
    exact_match: float
    interval: tuple[float, float]
    """95 %, over the questions."""
    loss: float
    steps: int
    seconds: float
    shown: int
    """Examples that stood in front of the middling question: fewer than asked for where the base's context holds no more."""


def tried(base: Base, it: Beginning, support: Sequence[Example], query: Sequence[Example], stepped: bool, tick: Tick) -> Tried:
    """Teach, if at all, and ask: behind the examples where they are few enough, and alone.

    With more of them as `adapt` does; see `Beginning.suiting`.
    """
    it = it.suiting(len(support))
    net = graft(base, it.recipe)
    try:
        begin, steps, seconds = it.on(net), 0, 0.0
        bank = fill(begin, 1)
        if stepped and support:
            since = time.perf_counter()
            bank, steps = fit(net, base.chat, begin, {1: support}, it.recipe, tick)
            seconds = time.perf_counter() - since
        asked: list[tuple[Asked, Sequence[Example]]] = [("behind", support), ("alone", ())]
        shown = [(how, before) for how, before in asked if how == "alone" or (it.recipe.prefix and support)]
        return Tried(steps, seconds, {how: answer(net, base.chat, bank, 1, before, query) for how, before in shown})
    finally:
        net.remove()


def apart(examples: Sequence[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """Examples to learn from, in random order, and questions; repeats left out.

    Raises:
        ExamplesError: they are too few.
    """
    each = distinct(examples, LEAST)
    order = random.Random(seed).sample(each, len(each))
    questions = min(_MOST, max(1, len(order) // _SHARE))
    return order[questions:], order[:questions]


def meter(
    base: Base,
    support: Sequence[Example],
    query: Sequence[Example],
    few: Sequence[Beginning],
    many: Sequence[Beginning],
    tell: Progress,
    known: Collection[tuple[str, int]] = (),
) -> Iterator[list[Cell]]:
    """The cells of each number of examples and each way, fewest examples first; each number's examples are the first of `support`.

    Args:
        base: a loaded base; bare again afterwards.
        support: see `apart`.
        query: see `apart`.
        few: beginnings for examples that are taught in front of each other, a blank LoRA among them.
        many: the same for more than `SHOWN`, which are taught each alone: other steps and another rate suit them.
        tell: told as work goes on.
        known: (way, examples) that are not measured again.
    """
    none = next(it for it in few if it.name == NONE)
    counts = [count for count in COUNTS if count <= len(support)]
    wanted = [(BASE, 0, none)]
    for count in counts:
        wanted += [(PROMPT, count, none)] if count <= SHOWN else []
        wanted += [(it.name, count, it) for it in (few if count <= SHOWN else many)]
    for way, count, it in wanted:
        if (way, count) not in known:
            tick = partial(tell, f"{count} examples, {way}")
            tick(0, 1, {})
            found = tried(base, it, support[:count], query, way not in (BASE, PROMPT), tick)
            yield [cell for cell in _cells(way, count, found, query) if way != PROMPT or cell.asked == "behind"]


def likelier(cells: Sequence[Cell], way: str, examples: int) -> Cell | None:
    """Of both ways of asking, the one to which right answers were likelier; None: nothing is measured."""
    return min((cell for cell in cells if (cell.way, cell.examples) == (way, examples)), key=lambda cell: cell.loss, default=None)


def best(cells: Sequence[Cell], way: str, examples: int) -> float:
    """Its share; nothing measured is nothing right."""
    found = likelier(cells, way, examples)
    return found.exact_match if found else 0.0


def equals(cells: Sequence[Cell], start: str, examples: int = 10) -> int | None:
    """The fewest examples with which scratch was as good as a start with so many; None: with none, or the start has nothing right."""
    wanted = best(cells, start, examples)
    counts = sorted({cell.examples for cell in cells if cell.way == NONE}) if wanted else []
    return next((count for count in counts if best(cells, NONE, count) >= wanted), None)


def _cells(way: str, count: int, it: Tried, query: Sequence[Example]) -> Iterator[Cell]:
    for how, answers in it.answers.items():
        share = right(query, answers.texts)
        yield Cell(way, count, how, share, interval(share, len(query)), mean(answers.losses), it.steps, it.seconds, answers.usual)
