"""An engine that has another one answer: our names, our limits and our refusals in front of it.

Where the other cannot mix adapters, the requests of one adapter go together: changing costs it every prompt again. Those of another that
have waited long enough stop more from joining, so that nobody waits for ever.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import ClassVar, final

from headstart.adapters.seats import Content
from headstart.adapters.store import Shelf
from headstart.errors import EngineGone, HeadstartError
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.serve.catalogue import Catalogue
from headstart.serve.door import BROKE, Door, Entered
from headstart.serve.peer import ALIVE, Peer
from headstart.serve.request import Ask, Ended, Likely, Piece, Served, Stream
from headstart.terms import ALL_LINEAR, SEATS

_LOG = logging.getLogger(__name__)
PATIENCE = 2.0
"""Seconds after which a request of another adapter lets no more join those at work."""
_IDLE = 0.25
"""Seconds between looks for those that hung up or are late while they wait."""
_GONE = "The engine behind this server stopped answering; it is begun anew for the next request."


@final
@dataclass(eq=False)
class Errand:
    """A request on its way."""

    entered: Entered
    stream: Stream = field(default_factory=Stream)
    came: float = field(default_factory=time.monotonic)


@final
class Relay:
    """See `Engine`.

    Args:
        base: gives tokens and checks adapters; it answers nothing.
        shelf: where adapters lie.
        peer: answers.
        budget: bytes of adapters that the peer is asked to have, and that are held here of what was read from the shelf.
        rows: requests put to it at once.
        queue: requests that may wait.
        deadline: seconds that a request may take, waiting included.
    """

    counted: ClassVar[tuple[str, ...]] = ("requests", "tokens_read", "tokens_cached", "tokens_written", "errors", "fittings")

    def __init__(
        self, base: Base, shelf: Shelf, peer: Peer, budget: int = SEATS, rows: int = 4, queue: int = 64, deadline: float = 300.0
    ) -> None:
        self._base, self._peer, self._budget, self._most = base, peer, budget, rows
        self._net = Grafted(base.model, ALL_LINEAR)
        self._catalogue = Catalogue(base, shelf, self._net, budget)
        self._door = Door(base.chat, self._catalogue, rows + queue, deadline)
        self._waiting: list[Errand] = []
        self._going: list[Errand] = []
        self._recent: dict[str, None] = {}
        """Names that were asked for, the latest last."""
        self._worn: str | None = None
        """Hash of the adapter whose requests were sent last."""
        self._counts: Counter[str] = Counter()
        self._bell, self._stopping, self._over = threading.Condition(), False, ""
        self._hands = ThreadPoolExecutor(rows, "relay")
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def submit(self, ask: Ask) -> Stream:
        """See `Engine`."""
        errand = Errand(self._door.enter(ask))
        with self._bell:
            if self._over:
                self._door.leave()
                raise EngineGone(self._over)
            if ask.adapter is not None:
                self._note(ask.adapter)
            self._waiting.append(errand)
            self._bell.notify_all()
        return errand.stream

    def served(self) -> list[Served]:
        """See `Engine`."""
        resident = self._peer.names()
        return self._catalogue.served(resident)

    def problems(self) -> dict[str, str]:
        """See `Engine`."""
        return self._catalogue.problems()

    def load(self, name: str) -> None:
        """See `Engine`; it is fitted with the first request that wants it."""
        self._catalogue.content(name)
        with self._bell:
            self._note(name)

    def unload(self, name: str) -> None:
        """See `Engine`."""
        self._catalogue.forget(name)
        self._peer.drop(name)
        with self._bell:
            self._recent.pop(name, None)
            self._bell.notify_all()

    def alive(self) -> bool:
        """See `Engine`."""
        return self._thread.is_alive()

    def busy(self) -> bool:
        """See `Engine`."""
        return self._door.inside > 0

    def figures(self) -> dict[str, float]:
        """See `Engine`."""
        resident = self._peer.names()
        with self._bell:
            return {
                **{name: self._counts[name] for name in self.counted},
                "rows": len(self._going),
                "waiting": len(self._waiting),
                "adapters": len(resident),
                "adapter_bytes": sum(resident.values()),
            }

    def stop(self, seconds: float = 30.0) -> None:
        """See `Engine`."""
        self._door.shut(seconds)
        with self._bell:
            if self._stopping:
                return
            self._stopping = True
            for errand in self._going:
                errand.stream.cancel()
            self._bell.notify_all()
        self._thread.join()
        self._peer.stop()
        self._hands.shutdown()
        self._net.remove()

    def _note(self, name: str) -> None:
        """Somebody wants this one."""
        self._recent.pop(name, None)
        self._recent[name] = None

    def _run(self) -> None:
        try:
            self._live()
        finally:
            # Also where it did not end by being told to, nobody is to wait for it.
            with self._bell:
                self._over = "The server was shut down." if self._stopping else BROKE
                while self._waiting:
                    errand = self._waiting.pop()
                    self._end(errand, Ended("error", len(errand.entered.tokens), 0, error=self._over))

    def _live(self) -> None:
        while True:
            with self._bell:
                self._bell.wait(_IDLE)
                for errand in [*self._waiting]:
                    if end := self._unwanted(errand):
                        self._waiting.remove(errand)
                        self._end(errand, end)
                if self._stopping:
                    return
            while (first := self._next()) is not None:
                self._send(first)
            with self._bell:
                at_work = [it.entered.content for it in self._going if it.entered.content]
            self._peer.tidy(at_work)

    def _unwanted(self, errand: Errand, written: int = 0) -> Ended | None:
        """How an answer ends that nobody waits for any more."""
        if errand.stream.cancelled.is_set():
            return Ended("cancelled", len(errand.entered.tokens), written)
        if errand.entered.late:
            return Ended("late", len(errand.entered.tokens), written, error=self._door.late)
        return None

    def _next(self) -> Errand | None:
        """Who goes now: the one that has waited longest; where the other engine cannot mix, of the adapter that is worn already."""
        with self._bell:
            if not self._waiting or len(self._going) >= self._most:
                return None
            first = self._waiting[0]
            if self._peer.mixes:
                return first
            # One that was let go meanwhile wants the other engine begun anew, which would end those at work.
            able = (it for it in self._waiting if it.entered.hash == self._worn and self._peer.wears(it.entered.content))
            joins = next(able, None)
            patient = time.monotonic() < first.came + PATIENCE
            if joins is first or (joins and patient):
                return joins
            return None if self._going else first

    def _send(self, errand: Errand) -> None:
        """Put one to the other engine, which is fitted first where it lacks the adapter, as soon as it may be."""
        try:
            if not self._peer.wears(errand.entered.content):
                if self._going and not self._peer.mixes:
                    # It was let go this very moment.
                    return
                self._peer.fit(self._wanted(errand.entered.content))
                self._counts.update(fittings=1)
        except Exception as error:
            with self._bell:
                self._waiting.remove(errand)
                self._end(errand, self._failed(errand, error))
            return
        with self._bell:
            self._waiting.remove(errand)
            self._going.append(errand)
            self._counts.update(requests=1)
            self._worn = errand.entered.hash
        self._hands.submit(self._carry, errand)

    def _wanted(self, first: Content | None) -> Iterator[Content]:
        """Adapters to have, within the budget: the one at hand, those asked for last, the rest of the shelf; each read as it is taken."""
        if first:
            yield first
        sound = [it.name for it in self._catalogue.listed() if not it.problem]
        with self._bell:
            order = dict.fromkeys([name for name in reversed(self._recent) if name in sound] + sound)
        left = self._budget - (first.bytes if first else 0)
        for name in order:
            if first and name == first.name:
                continue
            try:
                content = self._catalogue.content(name)
            except HeadstartError:
                continue
            left -= content.bytes
            if left < 0:
                return
            yield content

    def _carry(self, errand: Errand) -> None:
        """Hand on what the other engine says, until its end, the client's or the time's."""
        written, entered, end = 0, errand.entered, None
        try:
            with closing(self._peer.answer(entered)) as pieces:  # type: ignore[type-var]
                for it in self._begun(entered, pieces):
                    if isinstance(it, Piece) and it is not ALIVE:
                        written += 1
                        errand.stream.tell(it)
                    end = it if isinstance(it, Ended) else self._unwanted(errand, written)
                    if end:
                        break
            end = end or Ended("error", len(entered.tokens), written, error=_GONE)
        except Exception as error:
            end = self._failed(errand, error)
        with self._bell:
            self._going.remove(errand)
            self._counts.update(tokens_read=end.prompt_tokens - end.cached_tokens, tokens_cached=end.cached_tokens)
            self._counts.update(tokens_written=end.completion_tokens)
            self._end(errand, end)
            self._bell.notify_all()

    def _begun(self, entered: Entered, pieces: Iterable[Piece | Ended]) -> Iterator[Piece | Ended]:
        """Without the blank that our own engine leaves out where an answer begins, as the base's tokenizer does."""
        text = token = "" if entered.ask.plain else self._base.chat.letters.blank
        for it in pieces:
            if isinstance(it, Piece) and it.text:
                it, text = replace(it, text=it.text.removeprefix(text)), ""
            if token and isinstance(it, Piece) and it.taken:
                taken, *likeliest = (_without(token, one) for one in (it.taken, *it.likeliest))
                it, token = replace(it, taken=taken, likeliest=tuple(likeliest)), ""
            yield it

    def _failed(self, errand: Errand, error: Exception) -> Ended:
        """What the client is told; where the engine lies and what it said is for the log."""
        known = isinstance(error, HeadstartError) and not isinstance(error, EngineGone)
        _LOG.error("a request failed: %s", error, exc_info=None if isinstance(error, HeadstartError) else error)
        # One that says nothing is given no longer than the request has.
        return self._unwanted(errand) or Ended("error", len(errand.entered.tokens), 0, error=str(error) if known else _GONE)

    def _end(self, errand: Errand, end: Ended) -> None:
        self._counts.update(errors=int(end.failed))
        self._door.leave()
        errand.stream.tell(end)


def _without(blank: str, it: Likely) -> Likely:
    return replace(it, text=it.text.removeprefix(blank), raw=it.raw and it.raw.removeprefix(blank.encode()))
