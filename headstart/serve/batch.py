"""Rows at work and rows that wait, and what a row has while it is at work: a seat in the bank and a place in the cache."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import final

from headstart.adapters.seats import Seats
from headstart.errors import Busy
from headstart.lm.places import Places, common
from headstart.serve.kept import Kept
from headstart.serve.row import Row

SHARED = 64
"""Tokens for which a row waits until another, which begins with them too, has read them."""
PATIENCE = 2.0
"""Seconds for which a row that finds no seat or no room lets those that came later pass."""
SPARE = 1 << 26
"""Bytes of places that stay however long nobody is in them."""
REST = 10.0
"""Seconds for which all of them stay, for those who come next: to lay them out anew for every burst takes a tenth of its time."""


@final
class Batch:
    """One thread's.

    Args:
        seats: of adapters.
        kept: what was read before.
        most: rows that may be at work.
        room: bytes that their places may take when one more sits down; one row always may.
    """

    def __init__(self, seats: Seats, kept: Kept, most: int, room: int) -> None:
        self._seats, self._kept, self._most, self._room = seats, kept, most, room
        self.places = Places()
        self.rows: list[Row] = []
        """Row i of the batch is row i of the places."""
        self.waiting: list[Row] = []
        self._left = 0.0
        """When a row went last, by `time.monotonic`."""

    def all(self) -> list[Row]:
        """Those at work, then those that wait."""
        return [*self.rows, *self.waiting]

    def next(self) -> Iterator[Row]:
        """Rows that may sit down, those that came first before others; each does, or not, before the next is told.

        Nobody does who would keep out one that has been refused for long: those at work have an end, those that come have none.
        """
        still: list[Row] = []
        for row in list(self.waiting):
            if len(self.rows) < self._most and not any(_keeps_out(row, first) for first in still):
                yield row
            if row in self.waiting:
                still.append(row)

    def sit(self, row: Row) -> bool:
        """Have a waiting row sit down, if there are a seat and room for it; whether it does.

        Raises:
            Busy: nobody is at work, and still its adapter finds no seat.
        """
        if self.rows and self.places.size(1, 1) == 0:
            # What a token takes is known when the first has been read.
            return False
        if self.rows and self._crowded(row):
            row.refuse(crowded=True)
            return False
        kv, cached = self._kept.longest(row.asked.hash, row.asked.tokens)
        shared, read, at = self._shared(row)
        if shared >= max(cached, read) + SHARED:
            # What both begin with is read once.
            return False
        try:
            row.seat = self._seats.take(row.asked.content) if row.asked.content else None
        except Busy:
            if self.rows:
                row.refuse(crowded=False)
                return False
            raise
        if read > cached:
            self.places.fork(at, read)
        else:
            self.places.join(kv, cached)
        row.cached = row.read = max(read, cached)
        self.waiting.remove(row)
        self.rows.append(row)
        return True

    def _shared(self, row: Row) -> tuple[int, int, int]:
        """With how many tokens at most it begins as one at work does; the most of such that one has read, and which that is."""
        like = [(at, it, common(it.asked.tokens, row.asked.tokens)) for at, it in enumerate(self.rows) if it.asked.hash == row.asked.hash]
        read, at = max(((min(shared, it.read), at) for at, it, shared in like), default=(0, 0))
        return max((shared for _, _, shared in like), default=0), read, at

    def _crowded(self, row: Row) -> bool:
        """Whether its prompt beside the rows at work, as long as they are by now, would take more room than there is."""
        longest = max(len(it.asked.tokens) + len(it.growing.tokens) for it in (*self.rows, row))
        return self.places.size(len(self.rows) + 1, longest) > self._room

    def leave(self, row: Row) -> None:
        """A row goes, with its seat and its place."""
        self._left = time.monotonic()
        if row in self.rows:
            at = self.rows.index(row)
            self.places.leave(at)
            self.rows[at] = self.rows[-1]
            self.rows.pop()
        else:
            self.waiting.remove(row)
        if row.seat is not None:
            self._seats.leave(row.seat)

    def look_round(self) -> bool:
        """When nobody is at work, nothing may be held: whether something was."""
        held = bool(self._seats.pinned() or self.places.lengths)
        if self.places.lengths or (self.places.bytes > SPARE and time.monotonic() > self._left + REST):
            # Where rows are left, row i of the batch would be another one there, and every answer somebody else's.
            self.places.clear()
        return held


def _keeps_out(row: Row, first: Row) -> bool:
    """Whether one that came later would take what an impatient one waits for: room, as all do, or a seat, as those of other adapters do."""
    takes = first.crowded or (row.asked.content is not None and row.asked.hash != first.asked.hash)
    return takes and time.monotonic() > first.refused + PATIENCE
