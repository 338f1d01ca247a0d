"""Random numbers without state: each is a hash of where it is used, so task number i needs none of those before it.

Source: Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3; the hash is the finaliser of Steele et al. 2014, SplitMix64.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def _signed(bits: int) -> int:
    """Torch has no whole arithmetic on unsigned 64-bit numbers: the same bits, read as a signed one."""
    return bits - (1 << 64) if bits >> 63 else bits


_STEP, _FIRST, _SECOND = (_signed(bits) for bits in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def bits(stream: str, numbers: Tensor, width: int) -> Tensor:
    """Random bits: `width` of them for each number, the same for the same stream and number, whatever else is drawn.

    Args:
        stream: what they are for; streams are independent.
        numbers: (n,) int64.
        width: how many for each; the first of them do not depend on it.

    Returns:
        (n, width) int64, all 64 bits random.
    """
    start = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "big", signed=True)
    rows = _mix(numbers * _STEP + start)
    return _mix(rows[:, None] + torch.arange(1, width + 1) * _STEP)


def uniform(stream: str, numbers: Tensor, width: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Numbers from [low, high), (n, width) float64. Args as for `bits`."""
    return low + (high - low) * (_shift(bits(stream, numbers, width), 11).double() * 2.0**-53)


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift(z, 30)) * _FIRST
    z = (z ^ _shift(z, 27)) * _SECOND
    return z ^ _shift(z, 31)


def _shift(z: Tensor, by: int) -> Tensor:
    """To the right, with zeros coming in: torch's own brings the sign in."""
    return (z >> by) & ((1 << (64 - by)) - 1)
