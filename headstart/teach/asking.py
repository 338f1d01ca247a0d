"""Questions answered and scored: under one adapter, behind worked examples or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

from headstart.bank import Bank
from headstart.episode import Example
from headstart.lm.batch import Encoded
from headstart.lm.chat import Chat
from headstart.lm.context import Context, common, losses_after
from headstart.lm.generate import Sampling, generate
from headstart.lm.graft import Grafted

SPARE = 16
"""Tokens an answer may run on past the longest expected one, so that a wrong one can be read."""
ROWS = 16
"""Questions answered at once."""


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
    at_once: int = ROWS,
) -> Answers:
    """Greedy answers and losses of the expected ones, in the order asked.

    What all questions begin with (the template's head, worked examples) is run once and shared.

    Args:
        net: the grafted model.
        chat: its template.
        bank: name -> (slots, ...).
        slot: the adapter, or the base's slot.
        before: examples to put in front, as many as the context holds.
        asked: questions with their expected answers.
        tick: told (answered, all).
        at_once: questions that share a pass.
    """
    sampling = Sampling(max_tokens=max(len(chat.lay(e).completion) for e in asked) + SPARE)
    rows, shown = in_context(chat, before, asked, sampling.max_tokens)
    shared = common([e.prompt for e in rows])
    rest = [replace(e, prompt=e.prompt[len(shared) :]) for e in rows]
    context = Context.of(net, bank, slot, shared)
    texts: list[str] = []
    losses: list[float] = []
    for i in range(0, len(rest), at_once):
        group = rest[i : i + at_once]
        texts += generate(net, chat, bank, [slot] * len(group), [e.prompt for e in group], sampling, context)
        losses += losses_after(context, bank, group).tolist()
        tick(min(i + at_once, len(rest)), len(rest))
    return Answers(texts, losses, shown)


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
