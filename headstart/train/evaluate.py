"""Scores with honest intervals, and splits that let every example be held out once."""

from __future__ import annotations

import math
import random
from collections.abc import Hashable, Sequence
from typing import TypeVar

from headstart.errors import ExamplesError

H = TypeVar("H", bound=Hashable)

_Z = 1.959964
"""The two-sided 95 % point of the normal distribution."""
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Of Student's t, with 1 to 10 degrees of freedom."""


def interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share seen in `count` trials, one at least.

    Source: Wilson 1927, equation for the score interval; it stays inside [0, 1] and is honest for few trials.
    """
    z = _Z
    centre = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    # It holds the share; rounding would leave out that of none and that of all.
    return max(0.0, min(share, (centre - spread) / scale)), min(1.0, max(share, (centre + spread) / scale))


def clearly_more(first: Sequence[bool], second: Sequence[bool]) -> bool:
    """Whether the first way is right more often than the second, beyond chance, on the same questions.

    Source: the one-sided exact sign test at 5 % over the questions on which the two differ.
    """
    wins = sum(a and not b for a, b in zip(first, second, strict=True))
    losses = sum(b and not a for a, b in zip(first, second, strict=True))
    tail: int = sum(math.comb(wins + losses, k) for k in range(wins, wins + losses + 1))
    return 20 * tail <= 1 << (wins + losses)


def folds(count: int, parts: int, seed: int = 0) -> list[list[int]]:
    """Indices 0..count-1 dealt at random into parts that differ by at most one in size; none is empty.

    Args:
        count: how many examples.
        parts: how many folds are wanted; no more than `count` are made.
        seed: of the deal.
    """
    order = list(range(count))
    random.Random(seed).shuffle(order)
    parts = min(parts, count)
    return [sorted(order[i::parts]) for i in range(parts)]


def distinct(examples: Sequence[H], least: int) -> list[H]:
    """Each example once, in the order in which they first come: what is split, as else one might be shown and its twin asked.

    Raises:
        ExamplesError: they are fewer than `least`.
    """
    each = list(dict.fromkeys(examples))
    if len(each) < least:
        raise ExamplesError(
            f"{len(examples)} examples were given, {len(each)} without repeats; {least} at least are needed, as none is shown and asked."
        )
    return each


def mean(values: Sequence[float]) -> float:
    """The plain mean; of nothing, it is an error."""
    return sum(values) / len(values)


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a mean, by Student's t; of a single value, the value twice.

    Source: Student 1908.
    """
    centre = mean(values)
    if len(values) < 2:
        return centre, centre
    spread = student(len(values) - 1) * math.sqrt(sum((v - centre) ** 2 for v in values) / (len(values) - 1) / len(values))
    return centre - spread, centre + spread


def share_interval(shares: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a mean of shares, inside [0, 1]: by Student's t, or Wilson's where all are equal and so hide how they spread."""
    if min(shares) == max(shares):
        return interval(shares[0], len(shares))
    low, high = mean_interval(shares)
    return max(0.0, low), min(1.0, high)


def loss_interval(losses: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a mean of losses, none of which is below zero."""
    low, high = mean_interval(losses)
    return max(0.0, low), high


def alike(means: Sequence[float], intervals: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The interval of a mean over several means, each counting alike, from the interval of each; of one, its own.

    Source: Zou & Donner 2008, Construction of confidence limits about effect measures, equations for a sum; no spread has to be known, so
    that a mean of few values makes the interval as wide as it is itself.
    """
    centre = mean(means)
    down, up = (math.hypot(*((m - at[end]) / len(means) for m, at in zip(means, intervals, strict=True))) for end in (0, 1))
    return centre - down, centre + up


def student(freedom: int) -> float:
    """The two-sided 95 % point of Student's t with some degrees of freedom, one at least.

    Source: beyond ten degrees Abramowitz & Stegun 1964, equation 26.7.5, its first three corrections: right to 0.001.
    """
    if freedom <= len(_STUDENT):
        return _STUDENT[freedom - 1]
    first, second = (_Z**3 + _Z) / 4, (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / 96
    third = (3 * _Z**7 + 19 * _Z**5 + 17 * _Z**3 - 15 * _Z) / 384
    return _Z + first / freedom + second / freedom**2 + third / freedom**3
