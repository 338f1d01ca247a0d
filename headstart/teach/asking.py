"""Questions answered and scored: under adapters, behind worked examples or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median_low
from typing import final

from headstart.bank import Bank
from headstart.episode import Example
from headstart.lm.behind import behind
from headstart.lm.chat import Chat
from headstart.lm.expect import Said, expect
from headstart.lm.graft import Grafted
from headstart.terms import ASKED, SPARE


@final
@dataclass(frozen=True)
class Answers:
    """What was answered, and how surprising the expected answers were."""

    texts: list[str]
    losses: list[float]
    """mean loss a token of each expected answer"""
    shown: list[int]
    """worked examples that stood in front of each question"""

    @property
    def usual(self) -> int:
        """Those in front of the middling question: one that is long, and leaves room for few, says nothing of the others."""
        return median_low(self.shown)


def answer(
    net: Grafted,
    chat: Chat,
    bank: Bank,
    slot: int,
    before: Sequence[Example],
    asked: Sequence[Example],
    tick: Callable[[int, int], None] = lambda *_: None,
) -> Answers:
    """Greedy answers and losses of the expected ones under one adapter; see `answers`."""
    return answers(net, chat, bank, [slot] * len(asked), before, asked, tick)


def answers(
    net: Grafted,
    chat: Chat,
    bank: Bank,
    slots: Sequence[int],
    before: Sequence[Example],
    asked: Sequence[Example],
    tick: Callable[[int, int], None] = lambda *_: None,
    at_once: int = ASKED,
) -> Answers:
    """Greedy answers and losses of the expected ones, in the order asked.

    Args:
        net: the grafted model.
        chat: its template.
        bank: name -> (slots, ...).
        slots: the adapter of each question, or the base's slot.
        before: examples to put in front of each question, as many as the context holds; see `behind`.
        asked: questions with their expected answers.
        tick: told (answered, all).
        at_once: questions that share a pass.
    """
    rows = [behind(chat, before, e) for e in asked]
    most = max(len(row.completion) for row, _ in rows) + SPARE
    said: dict[int, Said] = {}

    def listen(done: int, answered: int, _: int) -> None:
        tick(done + answered, len(asked))

    # Those behind as many examples begin alike, which is read once: nearly always all of them.
    for count in sorted({shown for _, shown in rows}):
        alike = [i for i, (_, shown) in enumerate(rows) if shown == count]
        found = expect(net, chat, bank, [(slots[i], rows[i][0]) for i in alike], most, at_once, partial(listen, len(said)))
        said |= zip(alike, found, strict=True)
    ordered = [said[i] for i in range(len(asked))]
    return Answers([it.text for it in ordered], [it.loss for it in ordered], [shown for _, shown in rows])
