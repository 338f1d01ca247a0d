"""What was read before: tokens under an adapter's content, and their KV, the longest unused let go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import final

from headstart.lm.places import Kv, common

Key = tuple[str, tuple[int, ...]]
"""An adapter's content hash (empty: the base), and tokens: never tokens alone."""


MOST = 512
"""Beginnings, each of which is looked at for every request."""


@final
class Kept:
    """A budget of bytes full of beginnings. One thread's."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._all: OrderedDict[Key, Kv] = OrderedDict()
        self._contents: dict[str, str] = {}
        """Name -> the content that was last kept for it."""
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._all)

    def longest(self, content: str, tokens: Sequence[int]) -> tuple[Kv, int]:
        """The KV that goes along with these tokens the furthest, and how far; never all the way, as the last is read for its logits."""
        best: tuple[Key | None, int] = (None, 0)
        for key in self._all:
            if key[0] == content:
                length = common(key[1], tokens)
                best = (key, length) if length > best[1] else best
        if best[0] is None:
            return [], 0
        self._all.move_to_end(best[0])
        return self._all[best[0]], best[1]

    def keep(self, content: str, tokens: Sequence[int], size: int, copy: Callable[[], Kv], name: str | None = None) -> None:
        """Keep a row's tokens; what they continue is given up for them, and what was kept of another content of an adapter's name.

        Args:
            content: of the adapter; empty: the base's.
            tokens: that were read under it.
            size: bytes of their KV.
            copy: gives that, as it is to be kept; not called where there is no room for it.
            name: of the adapter.
        """
        key = (content, tuple(tokens))
        if name is not None and (before := self._contents.get(name, content)) != content:
            # Nobody asks for that any more, unless it has another name too.
            self._forget(before)
        if name is not None:
            self._contents[name] = content
        if size > self._budget:
            return
        for other in [k for k in self._all if k[0] == content and key[1][: len(k[1])] == k[1]]:
            self._drop(other)
        while self.bytes + size > self._budget or len(self._all) >= MOST:
            self._drop(next(iter(self._all)))
        self._all[key] = copy()
        self.bytes += size

    def _forget(self, content: str) -> None:
        for key in [key for key in self._all if key[0] == content]:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        self.bytes -= _bytes(self._all.pop(key))


def _bytes(kv: Kv) -> int:
    return sum(t.nbytes for pair in kv for t in pair)
