"""How the C library and oneDNN keep memory that was freed; what the environment says already stands."""

from __future__ import annotations

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Of glibc's `mallopt`."""
_BLOCK, _TOP = 1 << 17, 1 << 20
"""Bytes: blocks from this size on are the system's own; more free memory than this at the heap's end is given back."""


def one() -> None:
    """One heap for all threads; set once, before anything is computed or any thread begun.

    glibc gives threads heaps of their own, in which what one thread frees is no other's: a server's mixed traffic took twice the memory
    within minutes, and stayed level with one heap.
    """
    _bound_code()
    if "MALLOC_ARENA_MAX" not in os.environ:
        _set(_ARENA_MAX, 1)


def lean() -> bool:
    """From now on, give freed memory back at once; whether the C library can.

    A step frees and asks for the same sizes over and over, and what lies between two sizes is lost to both: resident memory is then a tenth
    to a third above what is in use. Giving it back costs clearing pages anew: a third more processor time on a model of 135 million
    parameters, two thirds on smaller ones.
    """
    _bound_code()
    return _set(_MMAP_THRESHOLD, _BLOCK) and _set(_TRIM_THRESHOLD, _TOP)


def _bound_code() -> None:
    """oneDNN keeps code for a thousand lengths, and a server meets ever new ones."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")


def _set(what: int, value: int) -> bool:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(what, value))
