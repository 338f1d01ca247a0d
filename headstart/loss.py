"""Losses per row, never averaged over rows: rows are tasks or requests and do not share a mean."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def token_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Negative log-likelihood of each label.

    Args:
        logits: (targets, vocabulary), any float dtype; computed in fp32 at least.
        labels: (targets,) int64.

    Returns:
        (targets,) in nats.
    """
    wide = logits if logits.dtype == torch.float64 else logits.float()
    return F.cross_entropy(wide, labels, reduction="none")


def row_losses(losses: Tensor, owner: Tensor, rows: int) -> Tensor:
    """The mean of each row's own target losses.

    Args:
        losses: (targets,).
        owner: the row each target belongs to, (targets,) int64.
        rows: how many rows there are; a row without targets gets 0.

    Returns:
        (rows,).
    """
    total = losses.new_zeros(rows).index_add(0, owner, losses)
    count = losses.new_zeros(rows).index_add(0, owner, torch.ones_like(losses))
    return total / count.clamp(min=1)


def outcome_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """Each task's own mean loss.

    Args:
        outputs: (tasks, n, ways) scores, or (tasks, n, width) values.
        targets: (tasks, n) int64 classes: cross-entropy in nats; or (tasks, n, width) float values: mean squared error.

    Returns:
        (tasks,).
    """
    if targets.is_floating_point():
        return (outputs - targets).square().flatten(1).mean(1)
    losses = F.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
    return losses.view(targets.shape).mean(1)
