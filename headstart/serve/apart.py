"""Computing in a thread that ends with its work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def apart(work: Callable[[], T]) -> T:
    """What work gives, done in a thread of its own.

    OpenMP keeps workers for every thread that has ever computed, as long as the thread lives. Once there are more of them than processors
    none waits actively for its next product any more, and an engine that takes a thousand products a token becomes a third slower. So
    whatever computes beside the engine does it here.
    """
    with ThreadPoolExecutor(1) as one:
        return one.submit(work).result()
