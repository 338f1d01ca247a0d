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
