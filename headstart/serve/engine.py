"""The engine: one thread owns base, bank and caches, and every row in the running batch takes a token at a time.

Between two tokens rows join and leave: a prompt is read, at most a chunk a turn, so that a long one holds nobody up; rows that have ended,
were cancelled or are late go. Rows of different adapters are one batch, and the bank makes them one pass.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar, final

import torch
from torch import Tensor

from headstart.adapters.seats import Seats
from headstart.adapters.store import Shelf
from headstart.bank import Bank
from headstart.errors import Busy, HeadstartError
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.lm.places import Places
from headstart.serve.catalogue import Catalogue
from headstart.serve.kept import Kept
from headstart.serve.request import Ask, Served
from headstart.serve.row import Row, Told
from headstart.serve.shown import laid

T = TypeVar("T")
CHUNK = 256
"""Tokens of a prompt that are read between two tokens of the running rows."""
_IDLE = 0.5
"""Seconds between looks when there is nothing to do."""


@final
class Running:
    """See `Engine`.

    Args:
        base: a loaded base; grafted from now on until `stop`.
        shelf: where adapters lie.
        budget: bytes of adapters in the bank.
        rows: in the batch at once; others wait.
        queue: rows that may wait.
        deadline: seconds that a row may take, waiting included.
        kept: bytes of KV that are kept of what was read.
    """

    def __init__(
        self, base: Base, shelf: Shelf, budget: int = 1 << 29, rows: int = 16, queue: int = 64, deadline: float = 300.0, kept: int = 1 << 28
    ) -> None:
        self._base, self._most, self._all, self._deadline = base, rows, rows + queue, deadline
        self._net = Grafted(base.model, "all-linear")
        self._catalogue = Catalogue(base, shelf, self._net)
        self._seats = Seats(budget, base.model.dtype, self._net.device)
        self._places, self._kept = Places(self._net), Kept(kept)
        self._rows: list[Row] = []
        """Row i of the batch is row i of the places."""
        self._reading: tuple[Row, Places] | None = None
        """A row whose prompt is being read, at a place of its own."""
        self._waiting: list[Row] = []
        self._counts: Counter[str] = Counter()
        self._inbox = _inbox()
        self._lock, self._stopping, self._open = threading.Lock(), threading.Event(), 0
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, ask: Ask) -> Told:
        """See `Engine`."""
        content = self._catalogue.content(ask.adapter) if ask.adapter is not None else None
        with self._lock:
            # The tokenizer is not made for several threads.
            tokens = laid(self._base.chat, ask, content.before if content else ())
            if self._stopping.is_set():
                raise Busy("The server is shutting down.")
            if self._open >= self._all:
                raise Busy(f"{self._open} requests are at work or waiting, and no more are taken: ask again in a while.")
            self._open += 1
        room = min(ask.sampling.max_tokens, self._base.chat.context - len(tokens))
        row = Row(ask, tokens, room, content, time.monotonic() + self._deadline, self._base.chat)
        self._inbox.put(lambda: self._waiting.append(row))
        return row.stream

    def served(self) -> list[Served]:
        """See `Engine`."""
        resident = self._do(lambda: {name: seat.bytes for name, seat in self._seats.resident().items()})
        base = Served(self._base.name, None, True, sum(p.numel() * p.element_size() for p in self._base.model.parameters()), 0)
        return [
            base,
            *(Served(it.name, base.name, it.name in resident, it.bytes, it.stamp[1] // 10**9) for it in self._catalogue.sound()),
        ]

    def problems(self) -> dict[str, str]:
        """What is wrong with each adapter of the shelf that cannot be served."""
        return self._catalogue.problems()

    def load(self, name: str, replace: bool = False) -> None:
        """See `Engine`; content that is another than the bank's takes its place in any case."""
        content = self._catalogue.content(name)
        self._do(lambda: self._seats.leave(self._seats.take(content)))

    def unload(self, name: str) -> None:
        """See `Engine`."""
        self._do(lambda: self._seats.unload(name))

    def busy(self) -> bool:
        """See `Engine`."""
        return self._open > 0

    def figures(self) -> dict[str, float]:
        """See `Engine`. `leaks` counts looks at an idle engine that found something held."""
        return self._do(
            lambda: {
                **{name: self._counts[name] for name in COUNTED},
                "rows": len(self._rows) + (self._reading is not None),
                "waiting": len(self._waiting),
                "pins": self._seats.pinned(),
                "adapters": len(self._seats.resident()),
                "adapter_bytes": self._seats.bytes,
                "evictions": self._seats.evictions,
                "cache_bytes": self._places.bytes,
                "kept": len(self._kept),
                "kept_bytes": self._kept.bytes,
            }
        )

    def stop(self, seconds: float = 30.0) -> None:
        """See `Engine`."""
        with self._lock:
            self._stopping.set()
        deadline = time.monotonic() + seconds
        while self._open and time.monotonic() < deadline:
            time.sleep(0.01)
        if self._thread.is_alive():
            self._inbox.put(None)
            self._thread.join()
            self._net.remove()

    def _do(self, work: Callable[[], T]) -> T:
        """Work on the engine's thread, between two tokens."""
        done: Future[T] = Future()

        def carry_out() -> None:
            try:
                done.set_result(work())
            except Exception as error:
                done.set_exception(error)

        if not self._thread.is_alive():
            raise Busy("The server is shutting down.")
        self._inbox.put(carry_out)
        return done.result()

    def _run(self) -> None:
        with torch.inference_mode():
            while self._hear(wait=not self._at_work()):
                self._turn()
                if not self._at_work() and (self._seats.pinned() or self._places.lengths):
                    self._counts["leaks"] += 1
        for row in self._at_work():
            self._let_go(row, "error", "The server was shut down.")

    def _at_work(self) -> list[Row]:
        return [*self._rows, *([self._reading[0]] if self._reading else []), *self._waiting]

    def _hear(self, wait: bool) -> bool:
        """Everything in the inbox; False: the end."""
        try:
            work = self._inbox.get(timeout=_IDLE) if wait else self._inbox.get_nowait()
            while work is not None:
                work()
                work = self._inbox.get_nowait()
        except queue.Empty:
            return True
        return False

    def _turn(self) -> None:
        """A chunk of a prompt, and a token for every row."""
        for row in self._at_work():
            if row.stream.cancelled.is_set():
                self._let_go(row, "cancelled")
            elif row.late:
                self._let_go(row, "error", f"The answer took longer than {self._deadline:.0f} seconds.")
        if self._reading is None and len(self._rows) < self._most:
            self._admit()
        if self._reading is not None:
            row, place = self._reading
            self._guarded([row], lambda _: self._read(row, place))
        if self._rows:
            self._guarded(list(self._rows), self._write)

    def _admit(self) -> None:
        """The longest waiting row whose adapter finds a seat sits down to be read."""
        for row in list(self._waiting):
            try:
                row.seat = self._seats.take(row.content) if row.content else None
            except Busy as error:
                if not self._rows:
                    self._let_go(row, "error", str(error))
                continue
            except HeadstartError as error:
                self._let_go(row, "error", str(error))
                continue
            kv, row.cached = self._kept.longest(row.hash, row.tokens)
            row.read = row.cached
            place = Places(self._net)
            place.join(kv, row.cached)
            self._waiting.remove(row)
            self._reading = row, place
            self._counts.update(requests=1, tokens_cached=row.cached)
            return

    def _guarded(self, rows: list[Row], work: Callable[[list[Row]], None]) -> None:
        """Work on rows; if it fails on several, on each alone, so that the one at fault goes alone."""
        try:
            work(rows)
        except Exception as error:
            if len(rows) == 1:
                self._let_go(rows[0], "error", str(error) if isinstance(error, HeadstartError) else "The answer failed.")
                return
            for row in rows:
                self._guarded([row], work)

    def _read(self, row: Row, place: Places) -> None:
        """The next chunk of a prompt; behind the last one the row joins the others."""
        chunk = row.tokens[row.read : row.read + CHUNK]
        last = row.read + len(chunk) == len(row.tokens)
        logits = place.feed(self._bank([row]), [row.slot], 0, [chunk], last)
        row.read += len(chunk)
        self._counts.update(passes=1, tokens_read=len(chunk))
        if last:
            kv = place.copy(0, row.read)
            self._kept.keep(row.hash, row.tokens, kv)
            self._places.join(kv, row.read)
            self._rows.append(row)
            self._reading = None
            self._take(row, logits[0])

    def _write(self, rows: list[Row]) -> None:
        """A token for each of all rows, or of one."""
        first = self._rows.index(rows[0])
        logits = self._places.feed(self._bank(rows), [row.slot for row in rows], first, [[row.last] for row in rows])
        self._counts.update(passes=1)
        for row, its in zip(rows, logits, strict=True):
            self._guarded([row], lambda one, its=its: self._take(one[0], its))  # type: ignore[misc]

    def _take(self, row: Row, logits: Tensor) -> None:
        self._counts.update(tokens_written=1)
        if row.take(logits):
            self._let_go(row)

    def _bank(self, rows: list[Row]) -> Bank:
        return self._seats.bank if any(row.slot for row in rows) else {}

    def _let_go(self, row: Row, reason: str | None = None, error: str = "") -> None:
        """A row leaves, with its seat and its place."""
        if row in self._rows:
            at = self._rows.index(row)
            self._places.leave(at)
            self._rows[at] = self._rows[-1]
            self._rows.pop()
        elif self._reading is not None and self._reading[0] is row:
            self._reading = None
        else:
            self._waiting.remove(row)
        if row.seat is not None:
            self._seats.leave(row.seat)
        self._counts.update(errors=int(reason == "error"))
        with self._lock:
            self._open -= 1
        row.end(reason, error)


COUNTED = ("requests", "tokens_read", "tokens_cached", "tokens_written", "passes", "errors", "leaks")
"""What only grows."""


def _inbox() -> queue.SimpleQueue[Callable[[], object] | None]:
    return queue.SimpleQueue()
