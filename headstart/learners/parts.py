"""Meta as one flat dict of parts, told apart by the beginnings of its names; and the gradient for all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from headstart.bank import Weights

Objective = Callable[[Weights], tuple[Tensor, Tensor]]
"""meta -> what is stepped down, (tasks,); and the query losses to report, (tasks,)."""

KEPT = "kept"
"""The part that is not learned: what an inner optimiser keeps from task to task."""


def prefixed(prefix: str, weights: Mapping[str, Tensor]) -> Weights:
    """Weights as a part of a larger meta: "name" becomes "prefix.name"."""
    return {f"{prefix}.{name}": w for name, w in weights.items()}


def part(prefix: str, meta: Mapping[str, Tensor]) -> Weights:
    """One part of meta, without its prefix."""
    return {name.removeprefix(f"{prefix}."): w for name, w in meta.items() if name.startswith(f"{prefix}.")}


def halves(meta: Mapping[str, Tensor]) -> tuple[Weights, Weights]:
    """What is learned of a meta, and what an inner optimiser keeps: under their whole names."""
    kept = {name: w for name, w in meta.items() if name.startswith(f"{KEPT}.")}
    return {name: w for name, w in meta.items() if name not in kept}, kept


def mean_gradient(meta: Weights, objective: Objective) -> tuple[Weights, Tensor]:
    """The gradient of the mean over tasks, for every name in meta (zeros where it plays no part), and each task's query loss."""
    leaves = {name: w.detach().requires_grad_() for name, w in meta.items()}
    falling, losses = objective(leaves)
    # A learner on raw inputs may have no weights at all.
    gradients = torch.autograd.grad(falling.mean(), list(leaves.values()), materialize_grads=True) if leaves else ()
    return dict(zip(leaves, gradients, strict=True)), losses.detach()
