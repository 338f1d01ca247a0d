"""The KV of many rows, each of its own length, so that rows can join and leave between tokens.

A layer's keys are one tensor, (rows, heads, room, width): a row's first token is at 0, wherever its neighbours stand, so a row that joins
is written and one that leaves is overwritten; nothing is padded or concatenated. Room grows by doubling, and when it grows it fits those
that are there: what rows ever were is not multiplied with what the longest ever was.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from headstart.terms import doubled

Kv = list[tuple[Tensor, Tensor]]
"""Keys and values of one row, a pair a layer, (heads, length, width) each."""
_ROOM = 64
_APART = 1 << 17
"""Bytes from which on what is kept is the system's own, outside the heap."""


@final
@dataclass(frozen=True)
class Turn:
    """What one row reads in a pass."""

    row: int
    slot: int
    tokens: Sequence[int]
    """One at least."""
    content: str = ""
    """Of the adapter in the slot; another one has another."""
    told: int = 1
    """Behind how many of its last tokens it is to be told what follows."""


@final
class Places:
    """Rows 0, 1, … as they stand in the batch.

    Args:
        rows: for which there is room at first.
        length: tokens of each for which there is.
    """

    def __init__(self, rows: int = 1, length: int = _ROOM) -> None:
        self._least = (rows, length)
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}
        self._each: dict[int, int] = {}
        """Bytes of a token in each layer, as far as any was read."""
        self.lengths: list[int] = []
        """Tokens of each row."""

    @property
    def bytes(self) -> int:
        """What all layers hold, free room included."""
        return sum(t.nbytes for pair in self._layers.values() for t in pair)

    def size(self, rows: int, length: int) -> int:
        """Bytes that so many rows take, the longest of so many tokens; 0 before anything was read, as nobody knows yet."""
        return doubled(self._least[0], rows) * doubled(self._least[1], length) * sum(self._each.values())

    def taken(self, length: int) -> int:
        """Bytes of so many tokens of one row, without the room around them."""
        return length * sum(self._each.values())

    def clear(self) -> None:
        """All rows go, and what they were in."""
        self.lengths.clear()
        self._layers.clear()

    def join(self, kv: Kv, length: int) -> int:
        """A new last row that begins with `length` tokens of a kept one; its number. Where memory is refused, there is no new row."""
        row = len(self.lengths)
        with self.undone():
            self.lengths.append(length)
            for i, (keys, values) in enumerate(kv if length else []):
                mine = self.room(i, keys[None], values[None], length)
                for store, part in zip(mine, (keys, values), strict=True):
                    store[row, :, :length] = part[:, :length]
        return row

    def fork(self, row: int, length: int) -> int:
        """A new last row that begins with `length` tokens of another; its number. Where memory is refused, there is no new row."""
        new = len(self.lengths)
        with self.undone():
            self.lengths.append(length)
            for i, (keys, values) in self._layers.items():
                for store in self.room(i, keys, values, length):
                    store[new, :, :length] = store[row, :, :length]
        return new

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Where what is done here fails, rows are there, and as long, as before it: what was written behind them nobody sees."""
        before = list(self.lengths)
        try:
            yield
        except BaseException:
            self.lengths[:] = before
            raise

    def leave(self, row: int) -> None:
        """A row goes, and the last one takes its number."""
        last = len(self.lengths) - 1
        if row != last:
            length = self.lengths[last]
            for pair in self._layers.values():
                for store in pair:
                    if last < len(store):
                        store[row, :, :length] = store[last, :, :length]
            self.lengths[row] = length
        self.lengths.pop()

    def copy(self, row: int, length: int) -> Kv:
        """A row's first tokens, to be kept; all layers' in one piece of memory."""
        if not length:
            return []
        parts = [store[row, :, :length] for i in sorted(self._layers) for store in self._layers[i]]
        whole = _apart(sum(part.numel() for part in parts), parts[0])
        mine = [it.view(part.shape) for it, part in zip(whole.split([part.numel() for part in parts]), parts, strict=True)]
        for it, part in zip(mine, parts, strict=True):
            it.copy_(part)
        return list(zip(mine[::2], mine[1::2], strict=True))

    def grow(self, turns: Sequence[Turn]) -> None:
        """What these turns read is there."""
        for turn in turns:
            self.lengths[turn.row] += len(turn.tokens)

    def forget(self, row: int, count: int) -> None:
        """A row's last tokens are as if they had never been read."""
        self.lengths[row] -= count

    def room(self, layer: int, keys: Tensor, values: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """A layer's tensors, with room for all rows of so many tokens; of the type and widths of (rows, heads, length, width) ones."""
        have, rows = self._layers.get(layer), len(self.lengths)
        if have is None or rows > have[0].shape[0] or length > have[0].shape[2]:
            # What a pass has written behind the lengths stays: length is cut where rows are too many, which is before anything is written.
            tall, long = doubled(self._least[0], rows), doubled(self._least[1], max([length, *self.lengths]))
            grown = []
            for i, like in enumerate((keys, values)):
                new = like.new_zeros(tall, like.shape[1], long, like.shape[3])
                if have:
                    stays = have[i][:tall, :, :long]
                    new[: stays.shape[0], :, : stays.shape[2]] = stays
                grown.append(new)
            self._layers[layer] = (grown[0], grown[1])
            self._each[layer] = sum(like.shape[1] * like.shape[3] * like.element_size() for like in (keys, values))
        return self._layers[layer]


def _apart(count: int, like: Tensor) -> Tensor:
    """Memory that goes back to the system whole: what is kept for long between what a pass takes and gives back leaves holes in a heap."""
    size = count * like.element_size()
    if like.device.type != "cpu" or size < _APART:
        return like.new_empty(count)
    return torch.frombuffer(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), dtype=like.dtype)


def common(kept: Sequence[int], tokens: Sequence[int]) -> int:
    """How many of these tokens begin as others do; never all, as the last is read for its logits."""
    most = min(len(kept), len(tokens) - 1)
    return next((i for i in range(most) if kept[i] != tokens[i]), most)
