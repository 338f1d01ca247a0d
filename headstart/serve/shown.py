"""A request as tokens: a conversation behind what its adapter keeps in front, or text as it is."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.episode import Example
from headstart.errors import ExamplesError
from headstart.lm.chat import Chat
from headstart.serve.request import Ask

LEAST = 64
"""Tokens of answer for which kept examples make way when the context is short."""


def laid(chat: Chat, ask: Ask, before: Sequence[Example]) -> tuple[int, ...]:
    """The prompt in tokens, behind as many kept examples as the context holds beside an answer.

    Raises:
        ExamplesError: it leaves no room for an answer even behind none.
    """
    room = min(ask.sampling.max_tokens, LEAST)
    if isinstance(ask.prompt, str):
        tokens = chat.plain(ask.prompt)
    else:
        shown = next(n for n in range(len(before), -1, -1) if n == 0 or len(chat.prompt(ask.prompt, before[:n])) + room <= chat.context)
        tokens = chat.prompt(ask.prompt, before[:shown])
    if not tokens:
        raise ExamplesError("The prompt is empty: give a question.")
    if len(tokens) >= chat.context:
        raise ExamplesError(f"A prompt of {len(tokens)} tokens fills the model's context of {chat.context}: shorten it.")
    return tokens
