"""A request as tokens: a conversation behind what its adapter keeps in front, or text as it is."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.episode import Example
from headstart.errors import ExamplesError
from headstart.lm.behind import behind
from headstart.lm.chat import Chat
from headstart.serve.request import Prompt

_LETTERS = 16
"""Letters for each token of the context, four times as many as are common: a prompt of more is looked at before it is read."""


def laid(chat: Chat, prompt: Prompt, before: Sequence[Example], most: int, system: str = "") -> tuple[int, ...]:
    """The prompt in tokens, behind as many kept examples as the context holds beside an answer.

    Args:
        chat: lays it out.
        prompt: see `Ask`.
        before: the adapter's kept examples.
        most: tokens that the answer may have.
        system: what it is told where the request tells it nothing.

    Raises:
        ExamplesError: it leaves no room for an answer even behind none.
    """
    _glance(chat, prompt)
    asked = None if isinstance(prompt, str) else Example((*prompt, ("assistant", ""))).under(system)
    bare = chat.prompt(asked.messages[:-1]) if asked else chat.plain(str(prompt))
    if not bare:
        raise ExamplesError("The prompt is empty: give a question.")
    # Before any example is laid in front: a prompt without end would be read once for each.
    if len(bare) >= chat.context:
        raise ExamplesError(f"A prompt of {len(bare)} tokens fills the model's context of {chat.context}: shorten it.")
    return behind(chat, before, asked, most)[0].prompt if asked and before else bare


def _glance(chat: Chat, prompt: Prompt) -> None:
    """Refuse megabytes by their beginning: the rest would be read for seconds, while nobody else's prompt is."""
    text = prompt if isinstance(prompt, str) else "".join(said for _, said in prompt)
    beginning = _LETTERS * chat.context
    # Cut off in the middle of a word it may have a few tokens more than within the whole, not twice as many.
    if len(text) > beginning and len(chat.plain(text[:beginning])) > 2 * chat.context:
        raise ExamplesError(f"A prompt of more than {chat.context} tokens fills the model's context of {chat.context}: shorten it.")
