"""Linears that share an input, as one product; on a CPU over a second copy of their weights, if that is wanted.

oneDNN multiplies fastest by weights that lie in blocks of its own. In the plain order every call takes up to twice as long, whatever the
number of rows; so a server that can spare the memory keeps the weights once more in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from headstart.terms import COPY

Product = Callable[[Tensor], Tensor]
"""(T, in) -> (T, out of all linears, one beside the other)."""


def products(linears: Sequence[nn.Linear], fast: bool) -> Product:
    """One product for linears of one input.

    Args:
        linears: with biases or without, all alike; packed in few bits or not.
        fast: keep a copy of the weights in the order that is multiplied fastest; see `can`.
    """
    if not fast:
        # Each by its own forward, which knows how a weight is packed, and past the hooks.
        return lambda x: torch.cat([it.forward(x) for it in linears], -1)
    # The operators that torch's own compiler puts in place of frozen linears.
    packed = torch.ops.mkldnn._reorder_linear_weight(torch.cat([it.weight for it in linears]).detach(), None)
    bias = None if linears[0].bias is None else torch.cat([it.bias for it in linears]).detach()
    return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


def can(model: nn.Module) -> bool:
    """Whether weights can be kept in that order: on a CPU, in a torch that has the operators, and where none is packed in few bits."""
    known = all(hasattr(torch.ops.mkldnn, name) for name in ("_reorder_linear_weight", "_linear_pointwise"))
    plain = all(p.device.type == "cpu" and p.is_floating_point() for p in model.parameters())
    return known and torch.backends.mkldnn.is_available() and plain


def spares(model: nn.Module, whole: int, free: int) -> bool:
    """Whether a second copy is small beside so many bytes of memory, and leaves half of what is free of them."""
    size = sum(p.nbytes for p in model.parameters())
    return COPY * size < whole and 2 * size <= free
