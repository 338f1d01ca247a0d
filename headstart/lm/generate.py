"""Generation for many rows at once, each under its own slot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import final

import torch
from torch import Tensor

from headstart.bank import Bank
from headstart.errors import Diverged, ExamplesError
from headstart.lm.chat import Chat
from headstart.lm.graft import Grafted
from headstart.lm.hooked import Hooked
from headstart.lm.letters import HALF
from headstart.lm.packed import Packed, reader
from headstart.lm.places import Places, Turn

_LOST = "The model's logits have no probabilities: some are no numbers, or larger than its precision holds."
Listener = Callable[[int, str], None]
"""Told (row, text) as text becomes certain."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen and when a row ends."""

    max_tokens: int = 256
    """Most tokens a row may grow by."""
    temperature: float = 0.0
    """0: always the likeliest token."""
    top_p: float = 1.0
    """Draw from the smallest set of tokens that holds this much probability."""
    seed: int = 0
    """Row i draws from seed + i, whatever its neighbours do."""
    stop: tuple[str, ...] = ()
    """Texts that end a row; they are cut off."""


def generate(
    net: Grafted,
    chat: Chat,
    bank: Bank,
    slots: Sequence[int],
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    listen: Listener | None = None,
) -> list[str]:
    """Continue every prompt.

    Args:
        net: the grafted model.
        chat: its tokenizer and template.
        bank: name -> (slots, ...).
        slots: the slot of each row, (rows,).
        prompts: the tokens of each row.
        sampling: greedy by default.
        listen: called with each row's text as it grows.

    Returns:
        One text a row, without end marks and stop texts.

    Raises:
        ExamplesError: a prompt leaves no room in the context window.
        Diverged: the model gives no number for a next token.
    """
    most = room(chat, max(len(p) for p in prompts), sampling.max_tokens)
    rows = [
        (slot, Growing(chat, replace(sampling, seed=sampling.seed + i, max_tokens=most), partial(listen, i) if listen else None))
        for i, slot in enumerate(slots)
    ]
    read, places = reader(net), Places(len(rows))
    with torch.inference_mode():
        _grow(read, places, bank, rows, [Turn(places.join([], 0), slot, p) for (slot, _), p in zip(rows, prompts, strict=True)])
        go_on(read, places, bank, rows)
    return [row.close() for _, row in rows]


def go_on(read: Packed | Hooked, places: Places, bank: Bank, rows: Sequence[tuple[int, Growing]]) -> None:
    """Grow answers until all have ended; who has ended leaves the pass.

    Args:
        read: reads the model.
        places: of the rows; all that they have is read there, but for the token that was chosen last.
        bank: name -> (slots, ...).
        rows: slot and answer of each.
    """
    left = list(rows)
    while _without_ended(places, left):
        _grow(read, places, bank, left, [Turn(at, slot, row.tokens[-1:]) for at, (slot, row) in enumerate(left)])


def _grow(read: Packed | Hooked, places: Places, bank: Bank, rows: Sequence[tuple[int, Growing]], turns: Sequence[Turn]) -> None:
    """A token more for every row."""
    logits = read(places, bank, turns)
    for (_, row), its, best in zip(rows, logits, likeliest(logits), strict=True):
        row.take(its, best)


def _without_ended(places: Places, left: list[tuple[int, Growing]]) -> list[tuple[int, Growing]]:
    """Rows whose answers have ended go, and the last one takes the place of each."""
    for at in reversed(range(len(left))):
        if left[at][1].ended:
            places.leave(at)
            left[at] = left[-1]
            left.pop()
    return left


def room(chat: Chat, prompt: int, most: int) -> int:
    """Tokens that an answer may have behind a prompt of so many, `most` at most.

    Raises:
        ExamplesError: there is no room.
    """
    left = min(most, chat.context - prompt)
    if left < 1:
        raise ExamplesError(f"A prompt of {prompt} tokens fills the model's context of {chat.context}: shorten it.")
    return left


@final
class Growing:
    """One growing answer: its tokens, its random stream, and when it ends.

    Args:
        chat: turns tokens into text, and knows which tokens end an answer.
        sampling: the seed and the most tokens are this row's own.
        tell: hears text as soon as it is certain.
        behind: whether it goes on with a text, and does not begin one, as an answer in a conversation does.
    """

    def __init__(self, chat: Chat, sampling: Sampling, tell: Callable[[str], None] | None = None, behind: bool = False) -> None:
        self._chat, self._sampling, self._tell, self._behind = chat, sampling, tell, behind
        self._rng = torch.Generator().manual_seed(sampling.seed)
        self.tokens: list[int] = []
        """Without the one that ended it."""
        self._told = 0
        self.done = False
        """Whether it has ended by itself, by a token or by a stop text."""

    @property
    def room(self) -> int:
        """Most tokens that it may have."""
        return self._sampling.max_tokens

    @property
    def ended(self) -> bool:
        """Whether it grows no more, by itself or for want of room."""
        return self.done or len(self.tokens) >= self.room

    def take(self, logits: Tensor, best: int | None = None) -> int:
        """Choose the next token from (vocabulary,) logits, the best of which may be known."""
        known = best if self._sampling.temperature == 0 else None
        return self.grow(choose(logits, self._sampling, self._rng) if known is None else known)

    def grow(self, token: int) -> int:
        """Take a token that was chosen already."""
        if token in self._chat.stops:
            self.done = True
            return token
        self.tokens.append(token)
        text = self._text()
        self.done = _cut(text, self._sampling.stop) != text
        self._hear(text)
        return token

    def close(self) -> str:
        """The finished text; what was held back is told."""
        text = _cut(self._text(), self._sampling.stop)
        if self._tell and len(text) > self._told:
            self._tell(text[self._told :])
        return text

    def _text(self) -> str:
        return self._chat.letters.text(self.tokens, self._behind)

    def _hear(self, text: str) -> None:
        # A half-decoded character, or text that may yet turn into a stop text, is held back.
        safe = len(text) - max((len(s) for s in self._sampling.stop), default=0)
        if self._tell and not self.done and not text.endswith(HALF) and safe > self._told:
            self._tell(text[self._told : safe])
            self._told = safe


def likeliest(logits: Tensor) -> list[int | None]:
    """The best of each row of (rows, vocabulary) logits; None: it has none, as some are no numbers, or without end."""
    # In fp32, which is searched several times faster than bf16; a row that holds what is no number has that as its largest.
    largest, best = logits.float().max(-1)
    return [None if it < 0 else it for it in best.where(largest.isfinite(), -1).tolist()]


def sure(best: int | None) -> int:
    """A best token, as `likeliest` tells it.

    Raises:
        Diverged: there is none.
    """
    if best is None:
        raise Diverged(_LOST)
    return best


def choose(logits: Tensor, sampling: Sampling, rng: torch.Generator) -> int:
    """One token from (vocabulary,) logits: the likeliest, or drawn by temperature and top-p.

    Raises:
        Diverged: there is no likeliest.

    Source: Holtzman et al. 2020, nucleus sampling, section 3.1.
    """
    if sampling.temperature == 0:
        return sure(likeliest(logits[None])[0])
    # Colder than this is the likeliest token already, and would end in numbers that fp32 does not have.
    warmth = max(sampling.temperature, 1e-6)
    chances = torch.softmax(logits.float().cpu() / warmth, -1)
    if bool(chances[0].isnan()):
        raise Diverged(_LOST)
    if sampling.top_p >= 1:
        return _drawn(chances, rng)
    chances, tokens = _nucleus(chances, sampling.top_p)
    return int(tokens[_drawn(chances, rng)])


def _nucleus(chances: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """The likeliest tokens that hold as much, and what each is: sorted, as few as will do.

    Tokens of less than 1 - top_p shared out over all hold less than that together: they are none of those, and need no sorting.
    """
    likely = (chances >= (1 - top_p) / len(chances)).nonzero()[:, 0]
    ordered, order = chances[likely].sort(descending=True)
    before = ordered.double().cumsum(-1) - ordered
    # The likeliest token stays, even at a top-p of 0.
    count = 1 + int((before[1:] < top_p).sum())
    return ordered[:count], likely[order[:count]]


def _drawn(chances: Tensor, rng: torch.Generator) -> int:
    """Where a point drawn from their whole falls, as they lie one behind the other; a sort would change nothing."""
    ends = chances.double().cumsum(-1)
    point = torch.rand(1, generator=rng, dtype=torch.float64, device="cpu") * ends[-1]
    return int(torch.searchsorted(ends, point, right=True))


def _cut(text: str, stops: Sequence[str]) -> str:
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text
