"""How close vectors are: higher is closer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor

Measure = Literal["euclidean", "cosine", "centred"]
"""Minus the squared distance, the cosine of the angle, or that of the angle seen from the middle of what is compared with."""


def euclidean(left: Tensor, right: Tensor) -> Tensor:
    """Minus the squared distance of every pair: (rows, n, width), (rows, m, width) -> (rows, n, m)."""
    # Expanded, so that no (rows, n, m, width) is held; about a common centre, so that little is cancelled.
    centre = right.mean(1, keepdim=True)
    left, right = left - centre, right - centre
    return 2 * left @ right.mT - left.square().sum(2)[:, :, None] - right.square().sum(2)[:, None]


def cosine(left: Tensor, right: Tensor) -> Tensor:
    """The cosine of every pair's angle: (..., n, width), (..., m, width) -> (..., n, m). A zero vector has 0 with all, and gradients."""
    return _unit(left) @ _unit(right).mT


def centred(left: Tensor, right: Tensor) -> Tensor:
    """The cosine of every pair's angle seen from the mean of `right`: (rows, n, width), (rows, m, width) -> (rows, n, m).

    For features that share a large part, which says nothing of the class and makes all their angles small: a language model's.

    Source: Wang et al. 2019, SimpleShot, section 3.2 (CL2N), with the support's mean in the place of the training classes'.
    """
    centre = right.mean(1, keepdim=True)
    return cosine(left - centre, right - centre)


def _unit(vectors: Tensor) -> Tensor:
    # Smooth at zero, where dividing by a clamped norm has gradients of any size.
    return vectors * (vectors.square().sum(-1, keepdim=True) + 1e-12).rsqrt()


CLOSENESS: dict[Measure, Callable[[Tensor, Tensor], Tensor]] = {"euclidean": euclidean, "cosine": cosine, "centred": centred}
