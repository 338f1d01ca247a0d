"""Questions answered and scored: under adapters, behind worked examples or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from headstart.bank import Bank
from headstart.episode import Example
from headstart.lm.batch import Encoded
from headstart.lm.chat import Chat
from headstart.lm.expect import expect
from headstart.lm.graft import Grafted
from headstart.terms import ASKED, SPARE


@final
@dataclass(frozen=True)
class Answers:
    """What was answered, and how surprising the expected answers were."""

    texts: list[str]
    losses: list[float]
    """mean loss a token of each expected answer"""
    shown: int
    """worked examples that stood in front"""


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
        before: examples to put in front, as many as the context holds.
        asked: questions with their expected answers.
        tick: told (answered, all).
        at_once: questions that share a pass.
    """
    most = max(len(chat.lay(e).completion) for e in asked) + SPARE
    rows, shown = in_context(chat, before, asked, most)
    said = expect(net, chat, bank, list(zip(slots, rows, strict=True)), most, at_once, tick)
    return Answers([it.text for it in said], [it.loss for it in said], shown)


def in_context(chat: Chat, before: Sequence[Example], asked: Sequence[Example], room: int) -> tuple[list[Encoded], int]:
    """Questions with worked examples in front, as many as the context holds beside `room` tokens of answer.

    Returns:
        The questions in tokens, and how many examples stand before each.
    """
    for shown in range(len(before), 0, -1):
        rows = [chat.lay(e, before[:shown]) for e in asked]
        if max(len(r.prompt) for r in rows) + room <= chat.context:
            return rows, shown
    return [chat.lay(e) for e in asked], 0
