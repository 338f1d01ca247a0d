"""The KV of many rows, each of its own length, so that rows can join and leave between tokens.

A layer's keys are one tensor, (rows, heads, room, width): a row's first token is at 0, wherever its neighbours stand, so a row that joins
is written and one that leaves is overwritten; nothing is padded or concatenated. Room grows by doubling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from headstart.bank import Bank
from headstart.lm.graft import Grafted

Kv = list[tuple[Tensor, Tensor]]
"""Keys and values of one row, a pair a layer, (heads, length, width) each."""
_ROOM = 64


@final
class Places:
    """Rows 0, 1, … as they stand in the batch."""

    def __init__(self, net: Grafted) -> None:
        self._net = net
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}
        self.lengths: list[int] = []
        """Tokens of each row."""

    @property
    def bytes(self) -> int:
        """What all layers hold, free room included."""
        return sum(t.numel() * t.element_size() for pair in self._layers.values() for t in pair)

    def join(self, kv: Kv, length: int) -> int:
        """A new last row that begins with `length` tokens of a kept one; its number."""
        self.lengths.append(length)
        row = len(self.lengths) - 1
        for i, (keys, values) in enumerate(kv if length else []):
            mine = self._room(i, keys[None], values[None], row + 1, length)
            for store, part in zip(mine, (keys, values), strict=True):
                store[row, :, :length] = part[:, :length]
        return row

    def leave(self, row: int) -> int:
        """A row goes, and the last one takes its number; the number that the last one had."""
        last = len(self.lengths) - 1
        if row != last:
            length = self.lengths[last]
            for pair in self._layers.values():
                for store in pair:
                    if last < len(store):
                        store[row, :, :length] = store[last, :, :length]
            self.lengths[row] = length
        self.lengths.pop()
        return last

    def copy(self, row: int, length: int) -> Kv:
        """A row's first tokens, to be kept."""
        return [(k[row, :, :length].clone(), v[row, :, :length].clone()) for k, v in (self._layers[i] for i in sorted(self._layers))]

    def feed(self, bank: Bank, slots: Sequence[int], first: int, tokens: Sequence[Sequence[int]], logits: bool = True) -> Tensor:
        """Tokens into rows that stand side by side, as many into each: several into one row, or one into each of several.

        Args:
            bank: name -> (slots, ...).
            slots: of these rows.
            first: the first of them.
            tokens: new tokens of each.
            logits: whether the logits behind each row's last token are wanted.

        Returns:
            (rows, vocabulary), or nothing of it.
        """
        net, count, new = self._net, len(tokens), len(tokens[0])
        before = torch.tensor(self.lengths[first : first + count], device=net.device)
        positions = before[:, None] + torch.arange(new, device=net.device)
        longest = int(before.max()) + new
        keep = None if logits else (torch.zeros(0, dtype=torch.int64, device=net.device),) * 2
        out = net.feed(
            bank,
            torch.tensor(slots, device=net.device),
            torch.tensor(tokens, device=net.device),
            self._mask(positions, longest),
            positions,
            _View(self, first, positions, longest),
            keep,
        )
        for row in range(first, first + count):
            self.lengths[row] += new
        return out

    def _mask(self, positions: Tensor, longest: int) -> Any:
        """What each new token may look at, added to attention; where layers differ in their window, by kind of layer."""
        there = torch.arange(longest, device=positions.device)
        seen = there <= positions[..., None]
        config = self._net.model.config.get_text_config()
        kinds = set(getattr(config, "layer_types", None) or [])
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

    def _room(self, layer: int, keys: Tensor, values: Tensor, rows: int, length: int) -> tuple[Tensor, Tensor]:
        """A layer's tensors, with room for so many rows of so many tokens; shaped like (rows, heads, length, width) ones."""
        have = self._layers.get(layer)
        if have is None or rows > have[0].shape[0] or length > have[0].shape[2]:
            tall, long = (have[0].shape[0], have[0].shape[2]) if have else (1, _ROOM)
            tall, long = _doubled(tall, rows), _doubled(long, length)
            grown = []
            for i, like in enumerate((keys, values)):
                new = like.new_zeros(tall, like.shape[1], long, like.shape[3])
                if have:
                    new[: have[i].shape[0], :, : have[i].shape[2]] = have[i]
                grown.append(new)
            self._layers[layer] = (grown[0], grown[1])
        return self._layers[layer]


@final
class _View:
    """Some rows as the cache of one pass; what a model asks of a cache, and no more."""

    is_compileable = False

    def __init__(self, places: Places, first: int, positions: Tensor, longest: int) -> None:
        self._places, self._first, self._positions, self._longest = places, first, positions, longest

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *more: Any, **named: Any) -> tuple[Tensor, Tensor]:
        """Write a layer's new keys and values, (rows, heads, new, width), and give all that there are."""
        first, count = self._first, len(keys)
        store = self._places._room(layer_idx, keys, values, len(self._places.lengths), self._longest)
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


def _doubled(size: int, wanted: int) -> int:
    while size < wanted:
        size *= 2
    return size
