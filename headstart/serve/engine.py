"""The engine: one thread owns base, bank and caches, and every row in the running batch takes a token at a time.

Between two tokens rows join and leave: rows that have ended, were cancelled or are late go, others sit down. Prompts are read in the same
passes in which answers grow, at most a chunk of them a pass, so that a long one holds nobody up; and rows of different adapters are one
batch, which the bank makes one pass.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import ClassVar, final

import torch
from torch import Tensor

from headstart.adapters.seats import Seats
from headstart.adapters.store import Shelf
from headstart.errors import Busy, EngineGone, HeadstartError
from headstart.lm.generate import likeliest
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.lm.packed import reader
from headstart.lm.places import Turn
from headstart.plan.memory import place_of
from headstart.serve.batch import Batch
from headstart.serve.catalogue import Catalogue
from headstart.serve.dealt import dealt
from headstart.serve.door import BROKE, Door
from headstart.serve.inbox import Inbox
from headstart.serve.kept import Kept
from headstart.serve.request import Ask, Reason, Served, Stream
from headstart.serve.row import Row
from headstart.terms import ALL_LINEAR, CHUNK, GUESSED, GUESSES, KEPT, SEATS

_LOG = logging.getLogger(__name__)
_IDLE = 0.5
"""Seconds between looks when there is nothing to do."""


@final
class Running:
    """See `Engine`.

    Args:
        base: a loaded base; grafted from now on until `stop`.
        shelf: where adapters lie.
        budget: bytes that the bank may hold, and as many may be held of what was read from the shelf.
        rows: in the batch at once; others wait.
        queue: rows that may wait.
        deadline: seconds that a row may take, waiting included.
        kept: bytes of KV that are kept of what was read.
        fast: keep the base's weights a second time, in the order that is multiplied fastest; see `products`.
        guessed: tokens that all rows may guess in a pass.
        room: bytes that the KV of rows at work may take when one more sits down; None: half of what is free when the engine begins.
    """

    counted: ClassVar[tuple[str, ...]] = (
        "requests",
        "tokens_read",
        "tokens_cached",
        "tokens_written",
        "tokens_guessed",
        "passes",
        "errors",
        "leaks",
        "evictions",
    )

    def __init__(
        self,
        base: Base,
        shelf: Shelf,
        budget: int = SEATS,
        rows: int = 16,
        queue: int = 64,
        deadline: float = 300.0,
        kept: int = KEPT,
        fast: bool = False,
        guessed: int = GUESSED,
        room: int | None = None,
    ) -> None:
        self._base, self._guessed = base, guessed
        self._net = Grafted(base.model, ALL_LINEAR)
        self._catalogue = Catalogue(base, shelf, self._net, budget)
        self._door = Door(base.chat, self._catalogue, rows + queue, deadline)
        self._seats = Seats(budget, base.model.dtype, self._net.device)
        self._pass = reader(self._net, fast)
        self._kept = Kept(kept)
        self._batch = Batch(self._seats, self._kept, rows, place_of(self._net.device).memory // 2 if room is None else room)
        self._counts: Counter[str] = Counter()
        self._inbox = Inbox()
        """What others want is done between two tokens."""
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, ask: Ask) -> Stream:
        """See `Engine`."""
        row = Row(self._door.enter(ask), self._base.chat)
        try:
            self._inbox.put(lambda: self._batch.waiting.append(row))
        except HeadstartError:
            self._door.leave()
            raise
        return row.stream

    def served(self) -> list[Served]:
        """See `Engine`."""
        resident = self._inbox.do(lambda: set(self._seats.resident()))
        return self._catalogue.served(resident)

    def problems(self) -> dict[str, str]:
        """See `Engine`."""
        return self._catalogue.problems()

    def load(self, name: str) -> None:
        """See `Engine`."""
        content = self._catalogue.content(name)
        self._inbox.do(lambda: self._seats.leave(self._seats.take(content)))

    def unload(self, name: str) -> None:
        """See `Engine`."""
        self._catalogue.forget(name)
        self._inbox.do(lambda: self._seats.unload(name))

    def alive(self) -> bool:
        """See `Engine`."""
        return self._thread.is_alive()

    def busy(self) -> bool:
        """See `Engine`."""
        return self._door.inside > 0

    def figures(self) -> dict[str, float]:
        """See `Engine`. `leaks` counts looks at an idle engine that found something held."""
        return self._inbox.do(
            lambda: {
                **dict.fromkeys(self.counted, 0),
                **self._counts,
                "evictions": self._seats.evictions,
                "rows": len(self._batch.rows),
                "waiting": len(self._batch.waiting),
                "pins": self._seats.pinned(),
                "adapters": len(self._seats.resident()),
                "adapter_bytes": self._seats.bytes,
                "cache_bytes": self._batch.places.bytes,
                "kept": len(self._kept),
                "kept_bytes": self._kept.bytes,
            }
        )

    def stop(self, seconds: float = 30.0) -> None:
        """See `Engine`."""
        self._door.shut(seconds)
        if self._thread.is_alive():
            self._inbox.end(Busy("The server is shutting down."))
            self._thread.join()
            self._net.remove()

    def _run(self) -> None:
        try:
            self._live()
        finally:
            # Where it did not end by being told to, nobody is to wait for it; rows are not let go of, as their places may be what failed.
            why = self._inbox.end(EngineGone(BROKE))
            self._inbox.hear(0)
            for row in self._batch.all():
                self._door.leave()
                row.end("error", why)

    def _live(self) -> None:
        with torch.inference_mode():
            while self._inbox.hear(0 if self._batch.all() else _IDLE):
                try:
                    self._turn()
                except Exception:
                    # Whatever it was, the next requests are answered.
                    _LOG.exception("a turn failed")
                    for row in self._batch.all():
                        self._let_go(row, "error", "The answer failed.")
                if not self._batch.all():
                    self._counts["leaks"] += self._batch.look_round()
        for row in self._batch.all():
            self._let_go(row, "error", "The server was shut down.")

    def _turn(self) -> None:
        """A token for every row that answers, and for those that do not yet, a chunk of their prompts."""
        for row in self._batch.all():
            if row.stream.cancelled.is_set():
                self._let_go(row, "cancelled")
            elif row.asked.late:
                self._let_go(row, "late", self._door.late)
        self._admit()
        if self._batch.rows:
            self._guarded(list(self._batch.rows), self._go_on)

    def _admit(self) -> None:
        """Waiting rows whose adapters find seats sit down, those that came first before others."""
        for row in self._batch.next():
            self._guarded([row], lambda one: self._sit_down(one[0]))

    def _sit_down(self, row: Row) -> None:
        if self._batch.sit(row):
            self._counts.update(requests=1, tokens_cached=row.cached)

    def _guarded(self, rows: list[Row], work: Callable[[list[Row]], None]) -> None:
        """Work on rows; if it fails on several, on each alone, so that the one at fault goes alone."""
        try:
            work(rows)
        except Exception as error:
            if len(rows) == 1:
                if not isinstance(error, HeadstartError):
                    _LOG.exception("a row failed")
                self._let_go(rows[0], "error", str(error) if isinstance(error, HeadstartError) else "The answer failed.")
                return
            for row in rows:
                self._guarded([row], work)

    def _go_on(self, rows: list[Row]) -> None:
        """One pass over rows; several of them guess where that does not make it one for each."""
        turns, share = [], min(GUESSES, self._guessed // len(rows)) * (self._pass.abreast or len(rows) == 1)
        shares = dealt(rows, CHUNK)
        for row in rows:
            guesses = () if row.unread else row.guess(share)
            new = row.unread[: shares[row]] if row.unread else (row.last, *guesses)
            if new:
                turns.append((row, Turn(self._batch.rows.index(row), row.slot, new, row.asked.hash, 1 + len(guesses))))
        # What fails behind the layers is read again, row by row: it must not stand there already.
        with self._batch.places.undone():
            logits = self._pass(self._batch.places, self._seats.bank, [turn for _, turn in turns])
            best = likeliest(logits)
        self._counts.update(passes=1)
        for row, turn in turns:
            given = turn, logits[: turn.told], best[: turn.told]
            logits, best = logits[turn.told :], best[turn.told :]
            self._guarded([row], lambda one, given=given: self._take(one[0], *given))  # type: ignore[misc]

    def _take(self, row: Row, turn: Turn, logits: Tensor, best: Sequence[int | None]) -> None:
        """What a pass gave to a row: where its prompt is at its end, a token, and one more behind each guess that was right."""
        if row.unread:
            row.read += len(turn.tokens)
            self._counts.update(tokens_read=len(turn.tokens))
            if row.unread:
                return
            self._keep(row)
        before = len(row.growing.tokens)
        taken, ended = row.follow(turn.tokens[len(turn.tokens) - turn.told + 1 :], logits, best)
        # What ends an answer is no part of it, as in its usage.
        self._counts.update(tokens_written=len(row.growing.tokens) - before, tokens_guessed=taken - 1)
        if ended:
            self._let_go(row)
        else:
            self._batch.places.forget(self._batch.rows.index(row), turn.told - taken)

    def _keep(self, row: Row) -> None:
        """Keep its prompt, as far as there is room: it is wanted by those who come later, and not by this row."""
        places, asked, at = self._batch.places, row.asked, self._batch.rows.index(row)
        try:
            self._kept.keep(asked.hash, asked.tokens, places.taken(row.read), lambda: places.copy(at, row.read), asked.ask.adapter)
        except (MemoryError, RuntimeError, OSError) as error:
            # What memory that is refused is told as.
            _LOG.warning("a prompt was not kept: %s", error)

    def _let_go(self, row: Row, reason: Reason | None = None, error: str = "") -> None:
        """A row leaves, with its seat and its place."""
        self._batch.leave(row)
        self._door.leave()
        self._counts.update(errors=int(row.end(reason, error).failed))
