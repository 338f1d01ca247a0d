"""A pass over rows of unequal length for every model that transformers knows, through the model's own forward and the graft's hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from headstart.bank import BASE, Bank
from headstart.lm.graft import Grafted
from headstart.lm.places import Places, Turn


@final
class Hooked:
    """One token into each of several rows at once, then several tokens into one row at a time."""

    abreast = False
    """Whether rows that read several tokens each do so in one pass of the model."""

    def __init__(self, net: Grafted) -> None:
        self._net = net
        self.head = net.head

    def __call__(self, places: Places, bank: Bank, turns: Sequence[Turn]) -> Tensor:
        """Read every turn's tokens; see `reach`.

        Returns:
            Logits behind each turn's last token, or its `told` last ones, (told, vocabulary).
        """
        return self.head(self.reach(places, bank, turns))

    def reach(self, places: Places, bank: Bank, turns: Sequence[Turn]) -> Tensor:
        """Read every turn's tokens.

        Args:
            places: where the rows stand; grown by what was read, unless this fails.
            bank: name -> (slots, ...).
            turns: one a row at most.

        Returns:
            What reaches the head behind each turn's `told` last tokens, turn by turn: (told, width).
        """
        found: dict[int, Tensor] = {}
        singles = {turn.row: turn for turn in turns if len(turn.tokens) == 1}
        if singles:
            first, last = min(singles), max(singles)
            # Rows between them that have no such turn read a token that nobody sees, and that their next one overwrites.
            side = [singles.get(row, Turn(row, BASE, [0])) for row in range(first, last + 1)]
            reaching = self._feed(places, bank, first, side)
            found |= {row: reaching[row - first][None] for row in singles}
        found |= {turn.row: self._feed(places, bank, turn.row, [turn]) for turn in turns if len(turn.tokens) > 1}
        places.grow(turns)
        return torch.cat([found[turn.row] for turn in turns])

    def _feed(self, places: Places, bank: Bank, first: int, turns: Sequence[Turn]) -> Tensor:
        """Rows that stand side by side from `first` on, each with as many tokens, of which as many are told of."""
        device, new, told = self._net.device, len(turns[0].tokens), turns[0].told
        before = torch.tensor(places.lengths[first : first + len(turns)], device=device)
        positions = before[:, None] + torch.arange(new, device=device)
        longest = int(before.max()) + new
        slots = torch.tensor([turn.slot for turn in turns], device=device)
        tokens = torch.tensor([list(turn.tokens) for turn in turns], device=device)
        view = _View(places, first, positions, longest)
        ends = torch.arange(new - told, new, device=device).repeat(len(turns))
        keep = torch.arange(len(turns), device=device).repeat_interleave(told), ends
        return self._net.feed(bank, slots, tokens, self._mask(positions, longest), positions, view, keep)

    def _mask(self, positions: Tensor, longest: int) -> Any:
        """What each new token may look at, added to attention; where layers differ in their window or look at chunks, by kind of layer."""
        there = torch.arange(longest, device=positions.device)
        seen = there <= positions[..., None]
        config = self._net.model.config.get_text_config()
        kinds = set(getattr(config, "layer_types", None) or [])
        if "chunked_attention" in kinds:
            chunk = there // config.attention_chunk_size == positions[..., None] // config.attention_chunk_size
            return {"full_attention": self._added(seen), "chunked_attention": self._added(seen & chunk)}
        if self._net.window == float("inf"):
            return self._added(seen)
        near = seen & (there > positions[..., None] - self._net.window)
        if {"full_attention", "sliding_attention"} <= kinds:
            return {"full_attention": self._added(seen), "sliding_attention": self._added(near)}
        return self._added(seen if kinds == {"full_attention"} else near)

    def _added(self, seen: Tensor) -> Tensor:
        dtype = self._net.model.dtype
        nothing = torch.zeros((), dtype=dtype, device=seen.device)
        return torch.where(seen, nothing, torch.finfo(dtype).min)[:, None]


@final
class _View:
    """Some rows as the cache of one pass; what a model asks of a cache, and no more."""

    is_compileable = False

    def __init__(self, places: Places, first: int, positions: Tensor, longest: int) -> None:
        self._places, self._first, self._positions, self._longest = places, first, positions, longest

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *more: Any, **named: Any) -> tuple[Tensor, Tensor]:
        """Write a layer's new keys and values, (rows, heads, new, width), and give all that there are."""
        first, count = self._first, len(keys)
        store = self._places.room(layer_idx, keys, values, self._longest)
        for whole, new in zip(store, (keys, values), strict=True):
            if count == 1:
                at = self._longest - new.shape[2]
                whole[first, :, at : self._longest] = new[0]
            else:
                rows = torch.arange(first, first + count, device=new.device)
                whole[rows, :, self._positions[:, 0]] = new[:, :, 0]
        return store[0][first : first + count, :, : self._longest], store[1][first : first + count, :, : self._longest]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens before the new ones, in the longest row."""
        return self._longest - self._positions.shape[1]

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        """Length and offset of what is attended to."""
        return self._longest, 0
