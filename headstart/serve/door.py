"""Who comes in: requests as tokens, counted until the house is full or closes."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import final

from headstart.adapters.seats import Content
from headstart.episode import Example
from headstart.errors import Busy, ExamplesError
from headstart.lm.behind import behind
from headstart.lm.chat import Chat
from headstart.serve.catalogue import Catalogue
from headstart.serve.request import Ask, Prompt

_LAID = 4
"""Prompts that are remembered as they were laid out."""
_LETTERS = 16
"""Letters for each token of the context, four times as many as are common: of a prompt no more are looked at before it is read."""
BROKE = "The engine broke down, and the server has to be begun anew: its log says why."
"""Told where an engine's thread is no more, and was not told to end."""


@final
@dataclass(frozen=True)
class Entered:
    """A request that was let in."""

    ask: Ask
    tokens: tuple[int, ...]
    """The whole prompt."""
    room: int
    """Tokens that the answer may have."""
    content: Content | None
    """Of the adapter; None: the base's."""
    deadline: float
    """By `time.monotonic`."""

    @property
    def hash(self) -> str:
        """Of the adapter's content; empty for the base."""
        return self.content.hash if self.content else ""

    @property
    def left(self) -> float:
        """Seconds that it still has, and a moment at least, in which to be refused."""
        return max(0.1, self.deadline - time.monotonic())

    @property
    def late(self) -> bool:
        """Whether it has had its time."""
        return time.monotonic() > self.deadline


@final
class Door:
    """Any thread's.

    Args:
        chat: lays prompts out.
        catalogue: finds adapters.
        most: requests inside at once, those that wait included.
        seconds: that each may take, waiting included.
    """

    def __init__(self, chat: Chat, catalogue: Catalogue, most: int, seconds: float) -> None:
        self._chat, self._catalogue, self._most, self.seconds = chat, catalogue, most, seconds
        self._lock, self._shut, self.inside = threading.Lock(), False, 0
        # The tokenizer is not made for several threads; a lock of its own, as a long prompt must not hold up those who leave.
        self._tokenizer = threading.Lock()
        # One prompt is asked for as often as answers to it are.
        self._laid = lru_cache(_LAID)(partial(laid, chat))

    def enter(self, ask: Ask) -> Entered:
        """Let a request in; `leave` has to be called once for it.

        Raises:
            See `Engine.submit`.
        """
        self._come_in()
        try:
            content = self._catalogue.content(ask.adapter) if ask.adapter is not None else None
            with self._tokenizer:
                before, system = (content.before, content.system) if content else ((), "")
                tokens = self._laid(ask.prompt, before, ask.sampling.max_tokens, system)
        except BaseException:
            self.leave()
            raise
        room = min(ask.sampling.max_tokens, self._chat.context - len(tokens))
        return Entered(ask, tokens, room, content, time.monotonic() + self.seconds)

    def _come_in(self) -> None:
        """First of all: what finds no room is not read."""
        with self._lock:
            if self._shut:
                raise Busy("The server is shutting down.")
            if self.inside >= self._most:
                raise Busy(f"{self.inside} requests are at work or waiting, and no more are taken: ask again in a while.")
            self.inside += 1

    @property
    def late(self) -> str:
        """What is told of a request that has had its time."""
        return f"The answer took longer than {self.seconds:.0f} seconds."

    def leave(self) -> None:
        """One is done."""
        with self._lock:
            self.inside -= 1

    def shut(self, seconds: float) -> None:
        """Let no more in; wait for those inside so many seconds at most."""
        with self._lock:
            self._shut = True
        deadline = time.monotonic() + seconds
        while self.inside and time.monotonic() < deadline:
            time.sleep(0.01)


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
    """Refuse by its beginning what would be read for seconds, while nobody else's prompt is: megabytes, or thousands of marks."""
    read, text = (chat.plain, prompt) if isinstance(prompt, str) else (chat.spelt, "".join(said for _, said in prompt))
    # Cut off in the middle of a word it may have a few tokens more than within the whole, not twice as many.
    if len(text) > chat.context and len(read(text[: _LETTERS * chat.context])) > 2 * chat.context:
        raise ExamplesError(f"A prompt of more than {chat.context} tokens fills the model's context of {chat.context}: shorten it.")
