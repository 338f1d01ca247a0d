"""The heart: many adapters stacked along a slot axis, and rows that pick slots.

A row is a task while we train and a request while we serve; it is the same forward pass. Slot 0 is the
bare base: zeros, never written. A bank whose tensors carry a graph trains, a preallocated one serves;
nothing that reads a bank can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from headstart.errors import BankError

Weights = dict[str, Tensor]
"""One adapter: name -> (...)."""
Bank = dict[str, Tensor]
"""Adapters side by side: name -> (slots, ...); slot 0 is zeros."""

BASE = 0
"""The slot of the bare base."""


def sites_of(names: Iterable[str]) -> list[str]:
    """The sites that a LoRA's names, `site.lora_A` and `site.lora_B`, are of."""
    return list(dict.fromkeys(name.rpartition(".")[0] for name in names))


def rank_axis(name: str) -> int:
    """Which axis of a LoRA's tensor is the rank: A is (rank, width_in), B (width_out, rank). -1: it is none of these."""
    return {"lora_A": 0, "lora_B": 1}.get(name.rpartition(".")[2], -1)


def fill(weights: Mapping[str, Tensor], slots: int) -> Bank:
    """A bank with `slots` copies of one adapter in slots 1..slots, and zeros in slot 0.

    Differentiable: the gradient of the copies is summed into `weights`.

    Args:
        weights: name -> (...).
        slots: how many copies, at least one.
    """
    if slots < 1:
        raise BankError(f"A bank needs at least one slot beside the base's, got {slots}.")
    return {name: torch.cat([torch.zeros_like(w)[None], w[None].expand(slots, *w.shape)]) for name, w in weights.items()}


def blank(weights: Mapping[str, Tensor], slots: int) -> Bank:
    """A preallocated bank for `slots` adapters shaped like `weights`, all of them the base so far."""
    return {name: w.new_zeros((slots + 1, *w.shape)) for name, w in weights.items()}


def take(bank: Bank, slot: int) -> Weights:
    """The adapter in one slot, as views: name -> (...)."""
    return {name: stack[slot] for name, stack in bank.items()}


def worn(bank: Bank, slots: Tensor) -> Bank:
    """Each row's own weights: name -> (rows, ...).

    Args:
        bank: name -> (slots, ...).
        slots: which adapter each row wears, (rows,) int64; on the processor, or a GPU is waited for.
    """
    at = picked(slots)
    if isinstance(at, slice):
        # In lockstep row i wears slot i + 1: a view needs no copy, and its gradient no scattered sum.
        return {name: stack[at] for name, stack in bank.items()}
    return {name: stack.index_select(0, at.to(stack.device)) for name, stack in bank.items()}


def put(bank: Bank, slot: int, weights: Mapping[str, Tensor]) -> None:
    """Write an adapter into a slot, in place.

    A smaller rank is padded with zeros, which changes nothing; what the adapter does not name is zeroed.

    Raises:
        BankError: the slot is the base's or absent, or weights do not fit; all misfits at once, and
            the bank is left as it was.
    """
    slots = next(iter(bank.values())).shape[0]
    if not BASE < slot < slots:
        raise BankError(f"Slot {slot} cannot be written: slots 1 to {slots - 1} can, and slot 0 is the base.")
    misfits = [_misfit(name, w, bank.get(name)) for name, w in weights.items()]
    if any(misfits):
        raise BankError("The adapter does not fit the bank: " + "; ".join(m for m in misfits if m) + ".")
    with torch.no_grad():
        for name, stack in bank.items():
            stack[slot].zero_()
            if name in weights:
                corner = tuple(slice(0, size) for size in weights[name].shape)
                stack[slot][corner].copy_(weights[name])


def _misfit(name: str, weight: Tensor, stack: Tensor | None) -> str:
    if stack is None:
        return f"{name} is not one of its sites"
    room = tuple(stack.shape[1:])
    wide = [i for i, (got, has) in enumerate(zip(weight.shape, room, strict=False)) if got != has]
    # Along the rank alone a smaller size is padded.
    if weight.dim() == len(room) and all(i == rank_axis(name) and weight.shape[i] < room[i] for i in wide):
        return ""
    return f"{name} is {tuple(weight.shape)}, the bank holds {room}"


def picked(slots: Tensor) -> Tensor | slice:
    """The same slots as a slice where they follow each other: what it picks is a view, which costs no copy."""
    rows = slots.tolist()
    return slice(rows[0], rows[0] + len(rows)) if rows and rows == list(range(rows[0], rows[0] + len(rows))) else slots


def bend(out: Tensor, x: Tensor, a: Tensor, b: Tensor, slots: Tensor | slice) -> Tensor:
    """What a linear gave, plus each row's own low-rank correction: out + (x A[slot]^T) B[slot]^T.

    LoRA's scale is folded into B when it is loaded, so none appears here.

    Args:
        out: the linear's own output, (rows * k, ..., width_out).
        x: its input, (rows * k, ..., width_in); a row's k parts are consecutive.
        a: (slots, rank, width_in).
        b: (slots, width_out, rank).
        slots: which adapter each row wears, (rows,) int64, or as `picked` gives them.

    Raises:
        BankError: the batch axis is not a whole number of parts a row.

    Source: Hu et al. 2021, LoRA, equation 3, per row.
    """
    down = a[slots].to(x.dtype)
    rows = down.shape[0]
    if x.shape[0] % rows:
        raise BankError(f"A batch of {x.shape[0]} is no multiple of {rows} rows: rows may only be regrouped consecutively.")
    each = x.reshape(rows, -1, x.shape[-1])
    # Not `@`, which expands and views around every product: a sixth of a meta-step's operators, and none of them computes.
    low = torch.bmm(each, down.mT)
    return torch.baddbmm(out.reshape(rows, -1, out.shape[-1]), low, b[slots].to(x.dtype).mT).view(out.shape)
