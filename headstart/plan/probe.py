"""What this machine really does: products and reading, two seconds of each at most."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from headstart.plan.clock import CALL, Speed
from headstart.terms import counted

_SECONDS = 1.0
"""For each of the two."""


def probe(dtype: torch.dtype, device: str = "cpu") -> Speed:
    """Operations and bytes a second, of products as wide as a model's and of sums over what no cache holds."""
    a, b = (torch.randn(1024, 2048, device=device).to(dtype), torch.randn(2048, 2048, device=device).to(dtype))
    large = torch.ones(1 << 26, device=device)
    products = _rate(lambda: a @ b, device) * 2 * 1024 * 2048 * 2048
    reads = _rate(large.sum, device) * large.nbytes
    source = f"measured here, {counted(torch.get_num_threads(), 'thread')}, {str(dtype).removeprefix('torch.')}"
    return Speed(products, reads, source, CALL, apart=device != "cpu")


def _rate(work: Callable[[], object], device: str) -> float:
    """How often a second, the first time not counted."""
    _done(work, device)
    since, count = time.perf_counter(), 0
    while time.perf_counter() - since < _SECONDS or not count:
        _done(work, device)
        count += 1
    return count / (time.perf_counter() - since)


def _done(work: Callable[[], object], device: str) -> None:
    work()
    if device != "cpu":
        torch.cuda.synchronize()
