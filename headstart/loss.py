"""Losses per row, never averaged over rows: rows are tasks or requests and do not share a mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from headstart.errors import BankError


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


def few_at_once(hidden: Tensor, labels: Tensor, head: Callable[[Tensor], Tensor], few: int) -> Tensor:
    """`token_losses` of the head's logits, which are never all there.

    A target's loss hangs on its own row of hidden states alone. So the gradient of each can be taken as soon as its logits are there, which
    then go; what is kept for the backward pass is as large as the hidden states, and nothing is computed twice.

    Args:
        hidden: (targets, width), what reaches the head.
        labels: (targets,) int64.
        head: (n, width) -> (n, vocabulary), row by row; its own weights get no gradient.
        few: rows at once.

    Returns:
        (targets,) in nats.

    Raises:
        BankError: in the backward pass, where a second derivative is wanted.

    Source: Hsu et al. 2024, Liger kernel, section 3.2, fused linear and cross-entropy.
    """
    losses: Tensor = _FewAtOnce.apply(hidden, labels, head, few)  # type: ignore[no-untyped-call]
    return losses


class _FewAtOnce(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, labels: Tensor, head: Callable[[Tensor], Tensor], few: int) -> Tensor:
        wanted = ctx.needs_input_grad[0]
        losses: list[Tensor] = []
        slopes: list[Tensor] = []
        for rows, right in zip(hidden.split(few), labels.split(few), strict=True):
            with torch.set_grad_enabled(wanted):
                at = rows.detach().requires_grad_(wanted)
                each = token_losses(head(at), right)
                slopes += torch.autograd.grad(each.sum(), at) if wanted else ()
            losses.append(each.detach())
        ctx.save_for_backward(*([torch.cat(slopes)] if wanted else []))
        return torch.cat(losses)

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            # A graph of this backward pass is wanted, in which the slopes would pass for constants.
            raise BankError("Losses of a few logits at a time have no second derivative: take `token_losses` of all.")
        (slopes,) = ctx.saved_tensors
        return (above[:, None] * slopes).to(slopes.dtype), None, None, None


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
