"""A request as tokens: a conversation behind what its adapter keeps in front, or text as it is."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.episode import Example
from headstart.errors import ExamplesError
from headstart.lm.chat import Chat
from headstart.serve.request import Ask

LEAST = 64
"""Tokens of answer for which kept examples make way when the context is short."""


def laid(chat: Chat, ask: Ask, before: Sequence[Example] = (), system: str = "") -> tuple[int, ...]:
    """The prompt in tokens, behind as many kept examples as the context holds beside an answer.

    Args:
        chat: lays it out.
        ask: the request.
        before: examples that the adapter keeps in front.
        system: what it is told where the request tells it nothing.

    Raises:
        ExamplesError: it leaves no room for an answer even behind none.
    """
    messages = () if isinstance(ask.prompt, str) else Example((*ask.prompt, ("assistant", ""))).under(system).messages[:-1]
    bare = chat.plain(ask.prompt) if isinstance(ask.prompt, str) else chat.prompt(messages)
    if not bare:
        raise ExamplesError("The prompt is empty: give a question.")
    # Before any example is laid in front: a prompt without end would be read once for each.
    if len(bare) >= chat.context:
        raise ExamplesError(f"A prompt of {len(bare)} tokens fills the model's context of {chat.context}: shorten it.")
    if isinstance(ask.prompt, str):
        return bare
    room = min(ask.sampling.max_tokens, LEAST)
    behind = (chat.prompt(messages, before[:shown]) for shown in range(len(before), 0, -1))
    return next((tokens for tokens in behind if len(tokens) + room <= chat.context), bare)
