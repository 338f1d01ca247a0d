"""What keeps the memory of a process of many threads and lengths from growing."""

from __future__ import annotations

import ctypes
import os

_M_ARENA_MAX = -8
"""Of glibc's `mallopt`."""


def stay_lean() -> None:
    """Set once, before anything is computed or any thread begun; what is in the environment already stands.

    A server meets ever new lengths, and oneDNN keeps code for a thousand of them. And glibc gives threads heaps of their own, in which what
    one thread frees is no other's: mixed traffic took twice the memory within minutes, and stayed level with one heap.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
    if "MALLOC_ARENA_MAX" not in os.environ:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, 1)
