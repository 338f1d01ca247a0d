"""What the engine is asked, and what it tells while it answers."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, final

from headstart.lm.generate import Sampling
from headstart.lm.letters import HALF

Message = tuple[str, str]
"""(role, content), as in `Example.messages`."""
Prompt = tuple[Message, ...] | str
Reason = Literal["stop", "length", "cancelled", "late", "error"]
"""Why a row ended; "late": it had had its time."""


@final
@dataclass(frozen=True)
class Ask:
    """One row: a prompt, and the adapter that it is read under."""

    adapter: str | None
    """A name on the shelf; None: the base."""
    prompt: Prompt
    """A conversation that ends with the user's turn, laid out behind the adapter's prefix; or text as it is, behind none."""
    sampling: Sampling
    logprobs: int = 0
    """How many of the likeliest tokens to tell at each place, beside the one that was taken; 0: none, and no log-probability either."""

    @property
    def plain(self) -> bool:
        """Whether the prompt is text as it is, with which the answer goes on."""
        return isinstance(self.prompt, str)


@final
@dataclass(frozen=True)
class Likely:
    """A token and how likely it was."""

    text: str
    logprob: float
    raw: bytes | None = None
    """Its bytes, where its text does not say them."""

    @property
    def bytes(self) -> bytes | None:
        """What it stands for; None: nobody knows, as it is a part of a character."""
        return self.text.encode() if self.raw is None and HALF not in self.text else self.raw

    @property
    def letters(self) -> int:
        """Characters that begin in it."""
        # In UTF-8 every byte but a character's first is 10xxxxxx.
        return len(self.text) if self.bytes is None else sum(byte & 0xC0 != 0x80 for byte in self.bytes)


@final
@dataclass(frozen=True)
class Piece:
    """Text that has become certain; empty while it may yet turn into a stop text or half a character."""

    text: str
    taken: Likely | None = None
    """The token that was taken, where log-probabilities were asked for."""
    likeliest: tuple[Likely, ...] = ()


@final
@dataclass(frozen=True)
class Ended:
    """The last word of a row."""

    reason: Reason
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    """Of the prompt's, how many were read before."""
    error: str = ""
    """For people; no path and no traceback."""

    @property
    def failed(self) -> bool:
        """Whether it was neither the answer's end nor the client's."""
        return self.reason in ("late", "error")


@final
class Stream:
    """A row's answer as it comes, between two threads; one reader."""

    def __init__(self) -> None:
        self._pieces: queue.SimpleQueue[Piece | Ended] = queue.SimpleQueue()
        self.cancelled = threading.Event()

    def next(self, timeout: float | None = None) -> Piece | Ended:
        """The next piece, or the end, which comes once.

        Raises:
            TimeoutError: nothing came in time; the row goes on.
        """
        try:
            return self._pieces.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"Nothing came within {timeout} seconds.") from None

    def cancel(self) -> None:
        """The reader is gone: the row leaves the batch at the next token."""
        self.cancelled.set()

    def tell(self, piece: Piece | Ended) -> None:
        """Put the next piece in."""
        self._pieces.put(piece)


@final
@dataclass(frozen=True)
class Served:
    """What can be asked for."""

    name: str
    """Of the base, or of an adapter."""
    parent: str | None
    """None: it is the base."""
    resident: bool
    """Whether it is in the bank."""
    bytes: int
    created: int
    """Seconds since 1970."""


class Engine(Protocol):
    """One thread that owns base, bank and caches; every method may be called from any thread."""

    counted: ClassVar[tuple[str, ...]]
    """Figures that only grow; the others tell how it stands."""

    def submit(self, ask: Ask) -> Stream:
        """Put a row into the queue.

        Raises:
            NameRefused: no such adapter.
            AdapterRefused: it is broken, or another base's.
            ExamplesError: the prompt leaves no room in the context.
            Busy: the queue is full.
            EngineGone: it is not alive.
        """
        ...

    def served(self) -> list[Served]:
        """The base, and every sound adapter on the shelf."""
        ...

    def problems(self) -> dict[str, str]:
        """What is wrong with each adapter of the shelf that cannot be served."""
        ...

    def load(self, name: str) -> None:
        """Bring an adapter into the bank as the shelf has it now; rows at work keep what they began with.

        Raises:
            NameRefused, AdapterRefused: as `submit`.
        """
        ...

    def unload(self, name: str) -> None:
        """Let an adapter go as soon as no row wears it.

        Raises:
            NameRefused: it is not in the bank.
        """
        ...

    def alive(self) -> bool:
        """Whether it will ever answer again: not, where it was stopped or its thread has died."""
        ...

    def busy(self) -> bool:
        """Whether a row is at work or waiting."""
        ...

    def figures(self) -> dict[str, float]:
        """By name, for /metrics; see `counted`."""
        ...

    def stop(self, seconds: float) -> None:
        """Take no more, finish what is at work within so many seconds, end."""
        ...
