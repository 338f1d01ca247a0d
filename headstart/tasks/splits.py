"""Classes dealt out to training, validation and test."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TypeVar

from headstart.errors import TasksError
from headstart.terms import counted

T = TypeVar("T")

SHARES: Mapping[str, float] = {"train": 64, "validation": 16, "test": 20}
"""miniImageNet's proportions, of Ravi & Larochelle 2017."""


def deal(classes: Mapping[str, T], shares: Mapping[str, float] = SHARES, seed: int = 0) -> dict[str, dict[str, T]]:
    """Each class to one split, by its name alone: the order in which classes come does not matter.

    Args:
        classes: name -> whatever belongs to it.
        shares: split -> its share, in proportion to the others'; exact where the shares add up to the number of classes.
        seed: other seeds deal otherwise.

    Raises:
        TasksError: fewer classes than splits.
    """
    if len(classes) < len(shares):
        raise TasksError(f"{counted(len(classes), 'class')} cannot be dealt out to {', '.join(shares)}: at least {len(shares)} are needed.")
    names = iter(sorted(classes, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest()))
    return {
        split: {name: classes[name] for name in sorted(next(names) for _ in range(n))} for split, n in _sizes(len(classes), shares).items()
    }


def _sizes(count: int, shares: Mapping[str, float]) -> dict[str, int]:
    """One for each split, and each further one to the split that is furthest below its share."""
    wanted = {split: count * share / sum(shares.values()) for split, share in shares.items()}
    sizes = dict.fromkeys(shares, 1)
    for _ in range(count - len(shares)):
        sizes[max(shares, key=lambda split: wanted[split] - sizes[split])] += 1
    return sizes
