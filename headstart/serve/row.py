"""One row: what was asked, where its answer stands, and the stream through which it is told."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import final

import torch
from torch import Tensor

from headstart.adapters.seats import Seat
from headstart.lm.chat import Chat
from headstart.lm.generate import Growing
from headstart.lm.letters import HALF
from headstart.lm.recall import Recall
from headstart.serve.door import Entered
from headstart.serve.request import Ended, Likely, Piece, Reason, Stream


@final
@dataclass(eq=False)
class Row:
    """A request at work. Its thread's alone, but for the stream."""

    asked: Entered
    chat: Chat
    stream: Stream = field(default_factory=Stream)
    seat: Seat | None = None
    read: int = 0
    """Tokens of the prompt that are in the cache."""
    cached: int = 0
    """Of those, how many were there before."""
    last: int = 0
    """The token that was taken last, which is still to be read."""
    came: int = field(default_factory=count().__next__)
    """Rows that came before it."""
    refused: float = math.inf
    """When it first found no seat or no room, by `time.monotonic`."""
    crowded: bool = False
    """Whether what it lacked last was room."""
    growing: Growing = field(init=False)
    _text: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.growing = Growing(self.chat, self.asked.ask.sampling, self._text.append, self.asked.ask.plain)

    @cached_property
    def _recall(self) -> Recall:
        """Made when the prompt has been read: one that waits needs none."""
        return Recall(self.asked.tokens)

    @property
    def slot(self) -> int:
        """In the bank."""
        return self.seat.slot if self.seat else 0

    @property
    def unread(self) -> tuple[int, ...]:
        """Of the prompt."""
        return self.asked.tokens[self.read :]

    def refuse(self, crowded: bool) -> None:
        """It found no seat, or else no room."""
        self.refused, self.crowded = min(self.refused, time.monotonic()), crowded

    def guess(self, most: int) -> tuple[int, ...]:
        """What may come behind its last token, as far as there is room for it and for one more."""
        return self._recall.guess(min(most, self.asked.room - len(self.growing.tokens) - 1))

    def follow(self, guesses: Sequence[int], logits: Tensor, best: Sequence[int | None]) -> tuple[int, bool]:
        """Take a token, and another behind each guess that was right.

        Args:
            guesses: tokens that were read behind the last one.
            logits: behind the last one and behind each guess, (guesses + 1, vocabulary).
            best: the best of each, as `likeliest` tells it.

        Returns:
            How many were taken, and whether the row has ended.
        """
        for taken, (its, likeliest) in enumerate(zip(logits, best, strict=True)):
            ended = self.take(its, likeliest)
            if ended or [self.last] != list(guesses[taken : taken + 1]):
                break
        return taken + 1, ended

    def take(self, logits: Tensor, best: int | None = None) -> bool:
        """Choose a token from (vocabulary,) logits, or the best, if it is known; tell what is certain; whether the row has ended."""
        self.last = self.growing.take(logits, best)
        self._recall.add(self.last)
        full = len(self.growing.tokens) >= self.asked.room
        if self.growing.done or full:
            self.growing.close()
        ended_by_token = self.growing.done and self.last in self.chat.stops
        taken, likeliest = (None, ()) if ended_by_token or not self.asked.ask.logprobs else self._likely(logits, self.last)
        text = "".join(self._text)
        self._text.clear()
        if text or taken:
            self.stream.tell(Piece(text, taken, likeliest))
        return self.growing.done or full

    def end(self, reason: Reason | None = None, error: str = "") -> Ended:
        """Tell the end."""
        why = reason or ("stop" if self.growing.done else "length")
        told = Ended(why, len(self.asked.tokens), len(self.growing.tokens), self.cached, error)
        self.stream.tell(told)
        return told

    def _likely(self, logits: Tensor, token: int) -> tuple[Likely, tuple[Likely, ...]]:
        logprobs = torch.log_softmax(logits.float(), -1)
        top = logprobs.topk(min(self.asked.ask.logprobs, len(logprobs)))
        likeliest = tuple(self._one(i, p) for i, p in zip(top.indices.tolist(), top.values.tolist(), strict=True))
        return self._one(token, float(logprobs[token])), likeliest

    def _one(self, token: int, logprob: float) -> Likely:
        """A token in the place of the one that was taken, so that those of a row add up to its text."""
        letters, behind = self.chat.letters, self.asked.ask.plain or len(self.growing.tokens) > 1
        text = letters.text([token], behind, marks=True)
        return Likely(text, logprob, letters.raw(token) if HALF in text else None)
