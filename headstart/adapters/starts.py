"""Starts: weights to begin from, learned over many tasks, and how to step from there. Some are shipped, others were made here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from headstart.adapters.still import still
from headstart.adapters.store import BaseKey, Shelf
from headstart.bank import Weights
from headstart.config import home
from headstart.errors import AdapterRefused, NameRefused, nearest

KIND = "start"
"""What `headstart.json` of a start says that it is."""
SHIPPED = Path(__file__).parent.parent / "starts"


@final
@dataclass(frozen=True)
class Stride:
    """How to step; None: as from a blank LoRA."""

    steps: int | None = None
    """Inner steps."""
    rate: float | None = None
    """Step size at its height."""


ALONE = Stride(20, 0.005)
"""From a start to weights that need no examples in front: what served `sql`, `general` and an earlier `api` on
validation tasks. The small steps that suit examples in front leave such weights knowing less than from scratch."""


@final
@dataclass(frozen=True)
class Start:
    """Where adapters begin, and how to step from there."""

    name: str
    weights: Weights
    behind: Stride = Stride()
    """Where examples are taught, and kept, in front of each other."""
    alone: Stride = Stride()
    """Where each is taught alone, for weights that need none in front."""


@final
class Starts:
    """Starts by name: those made here, before those of the package.

    Args:
        shipped: the folder of the package's.
    """

    def __init__(self, shipped: Path = SHIPPED) -> None:
        self.own = Shelf(home() / "starts")
        self.shelves = (self.own, Shelf(shipped))

    def names(self) -> list[str]:
        """All of them, sorted."""
        return sorted({name for shelf in self.shelves for name in shelf.names()})

    def shelf(self, name: str) -> Shelf:
        """Where a start lies; an adapter on the shelf may be begun from too.

        Raises:
            NameRefused: no name for a start, or there is none of that name, with the nearest that are.
        """
        self.own.path(name)
        adapters = Shelf()
        for shelf in (*self.shelves, adapters):
            if name in shelf.names():
                return shelf
        known = [*self.names(), *adapters.names()]
        raise NameRefused(f"There is no start '{name}'.{nearest(name, known)} Give a start, an adapter on the shelf, `auto` or `none`.")

    def read(self, name: str, key: BaseKey) -> Start:
        """A start, if it was made for this base.

        Raises:
            NameRefused: there is no such start.
            AdapterRefused: broken, or made for another base, tokenizer or template, or it is being written.
        """
        shelf = self.shelf(name)
        record, weights = still(shelf.path(name), lambda _: (shelf.record(name), shelf.read(name, key)))
        if record.get("kind") != KIND:
            return Start(name, weights)
        return Start(name, weights, Stride(record.get("steps"), record.get("rate")), ALONE)

    def fitting(self, key: BaseKey) -> tuple[list[Start], list[str]]:
        """Every start that was made for this base, and what is wrong with those that cannot be read."""
        found, broken = [], []
        for name in self.names():
            try:
                made_for = self.shelf(name).record(name).get("base") or {}
                found += [self.read(name, key)] if made_for.get("content") == key.content else []
            except (AdapterRefused, NameRefused) as error:
                broken.append(str(error))
        return found, broken


def refuse_start(name: str) -> None:
    """See that an adapter to be made is not called as a start is, as `--start` would mean that one ever after.

    Raises:
        NameRefused: it is.
    """
    if name in Starts().names():
        raise NameRefused(f"'{name}' is what a start is called, and --start {name} means that one: give another name.")
