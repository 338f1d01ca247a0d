"""Work for one thread from all others, in the order in which it came; nothing is put behind its end, where nobody would hear it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TypeVar, final

from headstart.errors import HeadstartError

T = TypeVar("T")


@final
class Inbox:
    """Any thread puts in, one hears."""

    def __init__(self) -> None:
        self._all: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._why: HeadstartError | None = None
        """What whoever puts in something is told once the end is in."""

    def put(self, work: Callable[[], object]) -> None:
        """Have it done.

        Raises:
            HeadstartError: the end is in already; as `end` was given it.
        """
        with self._gate:
            if self._why:
                raise type(self._why)(str(self._why))
            self._all.put(work)

    def do(self, work: Callable[[], T]) -> T:
        """Have it done, and wait for what comes of it.

        Raises:
            HeadstartError: see `put`.
        """
        done: Future[T] = Future()

        def carry_out() -> None:
            try:
                done.set_result(work())
            except Exception as error:
                done.set_exception(error)

        self.put(carry_out)
        return done.result()

    def end(self, why: HeadstartError) -> str:
        """Put the end in, behind which nothing comes, and say why it does not; what was said first stands, and is told."""
        with self._gate:
            self._why = self._why or why
            self._all.put(None)
            return str(self._why)

    def hear(self, seconds: float) -> bool:
        """Do all that is in, and wait so long for the first of it; False: the end."""
        try:
            work = self._all.get(timeout=seconds) if seconds else self._all.get_nowait()
            while work is not None:
                work()
                work = self._all.get_nowait()
        except Empty:
            return True
        return False
