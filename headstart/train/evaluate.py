"""Scores with honest intervals, and splits that let every example be held out once."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence


def exact(expected: str, got: str) -> bool:
    """Whether an answer is the expected one, blank space at its ends aside."""
    return expected.strip() == got.strip()


def interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share seen in `count` trials.

    Source: Wilson 1927, equation for the score interval; it stays inside [0, 1] and is honest for few trials.
    """
    if count == 0:
        return 0.0, 1.0
    z = 1.959964
    centre = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


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


def mean(values: Sequence[float]) -> float:
    """The plain mean; of nothing, it is an error."""
    return sum(values) / len(values)


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a mean, by the normal approximation; of a single value, the value twice."""
    centre = mean(values)
    if len(values) < 2:
        return centre, centre
    variance = sum((v - centre) ** 2 for v in values) / (len(values) - 1)
    spread = 1.959964 * math.sqrt(variance / len(values))
    return centre - spread, centre + spread
