"""Whether freed memory goes back to the system at once, or is kept by the C library for the next who asks."""

from __future__ import annotations

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Of glibc's `mallopt`."""
_BLOCK, _TOP = 1 << 17, 1 << 20
"""Bytes: blocks from this size on are the system's own; more free memory than this at the heap's end is given back."""


def lean() -> bool:
    """From now on, give freed memory back at once, and keep less of oneDNN's code; whether the C library can.

    A step frees and asks for the same sizes over and over, and what lies between two sizes is lost to both: resident memory is then a tenth
    to a third above what is in use. Giving it back costs clearing pages anew: a third more processor time on a model of 135 million
    parameters, two thirds on smaller ones.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    return mallopt is not None and bool(mallopt(_MMAP_THRESHOLD, _BLOCK) and mallopt(_TRIM_THRESHOLD, _TOP))
