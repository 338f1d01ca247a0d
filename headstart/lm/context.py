"""Context: tokens that many rows begin with, run through the model once and kept as a KV cache.

A cache belongs to its tokens and to the adapter they were read under, never to the tokens alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache

from headstart.bank import Bank
from headstart.errors import BankError
from headstart.lm.batch import Batch, Encoded
from headstart.lm.graft import Grafted
from headstart.loss import row_losses


@final
@dataclass(frozen=True)
class Context:
    """The KV cache of some tokens under one slot."""

    net: Grafted
    slot: int
    tokens: tuple[int, ...]
    cache: Cache

    @classmethod
    def of(cls, net: Grafted, bank: Bank, slot: int, tokens: Sequence[int]) -> Context:
        """Read tokens under one adapter; no tokens make an empty context that any slot may follow."""
        cache = DynamicCache(config=net.model.config)
        if tokens:
            ids = torch.tensor([list(tokens)], device=net.device)
            with torch.inference_mode():
                net.step(bank, torch.tensor([slot], device=net.device), ids, torch.ones_like(ids), cache)
        return cls(net, slot, tuple(tokens), cache)

    def __len__(self) -> int:
        return len(self.tokens)

    def worn(self, slots: Sequence[int]) -> Tensor:
        """The rows' slots as a tensor, (rows,).

        Raises:
            BankError: a row wears another adapter than this context was read under.
        """
        if self.tokens and any(slot != self.slot for slot in slots):
            raise BankError(
                f"A context read under slot {self.slot} was given to rows of slots {sorted(set(slots))}: its cache belongs to one adapter."
            )
        return torch.tensor(list(slots), dtype=torch.int64, device=self.net.device)

    def spread(self, rows: int) -> tuple[Cache, Tensor]:
        """A copy of the cache for every row, and the mask of its tokens, (rows, tokens)."""
        cache = copy.deepcopy(self.cache)
        if self.tokens:
            cache.batch_repeat_interleave(rows)
        return cache, torch.ones(rows, len(self.tokens), dtype=torch.int64, device=self.net.device)


def common(prompts: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The longest beginning that all prompts share, short of any whole prompt."""
    length = min(len(p) for p in prompts) - 1
    shared = 0
    while shared < length and len({p[shared] for p in prompts}) == 1:
        shared += 1
    return tuple(prompts[0][:shared])


def losses_after(context: Context, bank: Bank, encoded: Sequence[Encoded]) -> Tensor:
    """Each example's mean completion loss when it follows a context: (rows,).

    Args:
        context: what stands before every example.
        bank: name -> (slots, ...).
        encoded: the rest of each example.
    """
    rows = len(encoded)
    batch = Batch.of(encoded, device=context.net.device)
    with torch.inference_mode():
        cache, mask = context.spread(rows)
        # Padding stands on the right, behind every target, so it may pass for tokens.
        mask = torch.cat([mask, torch.ones_like(batch.tokens)], dim=1)
        caught: list[Tensor] = []
        context.net.step(bank, context.worn([context.slot] * rows), batch.tokens, mask, cache, (batch.owner, batch.place), caught)
        return row_losses(context.net.losses_of(caught[0], batch.labels), batch.owner, rows)
