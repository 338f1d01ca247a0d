"""Tasks drawn ahead by processes of their own, so that what learns from them never waits: a GPU learns faster than one can draw."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from headstart.episode import Drawn, Tasks
from headstart.errors import TasksError

_BATCHES = 3
"""Batches that are kept ready for each process: their drawing times differ."""


@contextmanager
def drawn_ahead(tasks: Tasks, workers: int, stride: int) -> Iterator[Tasks]:
    """A source with the same tasks, whose next batches are drawn while the last one is learned from.

    Args:
        tasks: the source; it is sent to each process, so it must pickle.
        workers: processes; 0: the source itself.
        stride: how many tasks further on each draw begins than the one before.
    """
    if workers == 0:
        yield tasks
        return
    # Never forked: a process that has opened a GPU, or runs threads, has no sound copy.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(tasks,))
    try:
        yield _Ahead(pool, workers * _BATCHES, stride)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class _Ahead:
    """Batches in the order in which a run asks for them."""

    def __init__(self, pool: ProcessPoolExecutor, ready: int, stride: int) -> None:
        self._pool, self._ready, self._stride = pool, ready, stride
        self._coming: dict[tuple[str, int, int], Future[Drawn[Any]]] = {}

    def draw(self, split: str, first: int, count: int) -> Drawn[Any]:
        """As the source has them.

        Raises:
            TasksError: a process was lost, as the system ends one for want of memory.
        """
        try:
            return self._drawn(split, first, count)
        except BrokenProcessPool as error:
            raise TasksError(
                "A process that draws tasks was lost, most often for want of memory: the same command goes on, and fewer workers take less."
            ) from error

    def _drawn(self, split: str, first: int, count: int) -> Drawn[Any]:
        wanted = [(split, first + ahead * self._stride, count) for ahead in range(self._ready + 1)]
        self._coming = {batch: self._coming.get(batch) or self._pool.submit(_draw, *batch) for batch in wanted}
        return self._coming[wanted[0]].result()


_SOURCE: list[Tasks] = []
"""In a process that draws: what from."""


def _begin(tasks: Tasks) -> None:
    # Ctrl-C reaches every process of a terminal; the one that learns ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()
    _SOURCE.append(tasks)


def _end_with(parent: Any) -> None:
    """A process that learns and is killed can end no other: this one would wait for it for ever."""
    parent.join()
    os._exit(0)


def _draw(split: str, first: int, count: int) -> Drawn[Any]:
    return _SOURCE[0].draw(split, first, count)
