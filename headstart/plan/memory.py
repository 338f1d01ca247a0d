"""Memory as this machine counts it."""

from __future__ import annotations

import resource
import sys

import torch


def peak_bytes() -> int:
    """The most memory this process has held so far: of the GPU where one is used, else resident."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    kibi = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kibi
