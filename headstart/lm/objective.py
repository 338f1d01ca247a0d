"""Examples of many slots as an objective: length-sorted pieces, each with its lower layers computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from headstart.bank import Bank
from headstart.lm.batch import Batch, Encoded
from headstart.lm.graft import Grafted
from headstart.loss import row_losses
from headstart.terms import PIECE, bundles

Lowered = dict[Encoded, Tensor]
"""Hidden states entering the lowest bent layer, one (length, width) an example."""


def lower(net: Grafted, encoded: Sequence[Encoded]) -> Lowered:
    """Run the layers that no adapter bends, once for each example; nothing where the lowest layer is bent."""
    if net.cut == 0:
        return {}
    kept: Lowered = {}
    once = list(dict.fromkeys(encoded))
    for group in bundles([len(e) for e in once], PIECE):
        members = [once[i] for i in group]
        hidden = net.lower(Batch.of(members, device=net.device).tokens)
        kept.update({e: hidden[i, : len(e)] for i, e in enumerate(members)})
    return kept


def objective(
    net: Grafted, rows: Sequence[tuple[int, Encoded]], slots: int, lowered: Lowered, budget: int | None = None
) -> list[Callable[[Bank], Tensor]]:
    """The mean loss of each slot's examples, in pieces that add up to it.

    Args:
        net: the grafted model.
        rows: (slot, example) pairs.
        slots: how many slots the bank has, the base's included.
        lowered: from `lower`, for all the examples.
        budget: tokens a piece may hold, padding included; a longer row is a piece of its own. None: `PIECE`.

    Returns:
        Pieces: bank -> (slots,) losses.
    """
    owned = torch.zeros(slots, device=net.device)
    for slot, _ in rows:
        owned[slot] += 1
    return [
        _piece(net, [rows[i] for i in group], owned.clamp(min=1), lowered) for group in bundles([len(e) for _, e in rows], budget or PIECE)
    ]


def _piece(net: Grafted, rows: Sequence[tuple[int, Encoded]], owned: Tensor, lowered: Lowered) -> Callable[[Bank], Tensor]:
    slots, each = _together(net, rows, lowered)

    def losses(bank: Bank) -> Tensor:
        found = each(bank)
        return found.new_zeros(len(owned)).index_add(0, slots, found) / owned

    return losses


def example_losses(net: Grafted, bank: Bank, rows: Sequence[tuple[int, Encoded]], lowered: Lowered) -> Tensor:
    """Each row's mean loss per completion token, in the order given: (rows,)."""
    out = torch.zeros(len(rows), dtype=torch.promote_types(net.model.dtype, torch.float32), device=net.device)
    with torch.inference_mode():
        for group in bundles([len(e) for _, e in rows], PIECE):
            out[group] = _together(net, [rows[i] for i in group], lowered)[1](bank)
    return out


def _together(net: Grafted, rows: Sequence[tuple[int, Encoded]], lowered: Lowered) -> tuple[Tensor, Callable[[Bank], Tensor]]:
    """Rows as one batch: their slots, (rows,), and bank -> each one's mean loss a token, (rows,)."""
    encoded = [e for _, e in rows]
    slots = torch.tensor([slot for slot, _ in rows], device=net.device)
    batch = Batch.of(encoded, [lowered[e] for e in encoded] if lowered else None, net.device)
    return slots, lambda bank: row_losses(net.losses(bank, slots, batch), batch.owner, len(rows))
