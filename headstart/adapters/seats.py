"""Who sits where: adapters of the shelf in the slots of one bank, within a budget of bytes.

A seat is pinned while a row wears it. New content of an adapter takes another seat, and the name moves; rows at work keep the old one.
The bank has the sites and the rank that its adapters need; it is made anew when one needs more, or when it could be held only as a smaller
one. Then seats may stand in other slots, which harms no row: a row looks its slot up for every pass, and nobody sits down during one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import final

import torch

from headstart.adapters.peft import CONFIG, WEIGHTS
from headstart.adapters.still import Stamp
from headstart.adapters.store import PREFIX, RECORD
from headstart.bank import BASE, Bank, Weights, put, rank_axis
from headstart.episode import Example
from headstart.errors import Busy, NameRefused, nearest

Shapes = dict[str, tuple[int, ...]]
"""Name -> a slot's shape."""
_FILES = sorted((CONFIG, WEIGHTS, RECORD, PREFIX))
"""All of an adapter that an answer may depend on."""
_FIRST = 4
"""Slots of a bank that has just been made, if it may hold so many."""


@final
@dataclass(frozen=True)
class Content:
    """An adapter as it was read from the shelf."""

    name: str
    weights: Weights
    before: tuple[Example, ...]
    """Examples that are kept in front of every prompt."""
    stamp: Stamp
    """Of the folder; the same stamp is the same content."""
    hash: str
    """SHA-256 of its files."""
    system: str = ""
    """What it was told when it was taught, for requests that tell it nothing."""

    @cached_property
    def bytes(self) -> int:
        """As it was read."""
        return sum(w.nbytes for w in self.weights.values())


@final
@dataclass(eq=False)
class Seat:
    """An adapter in a slot; without its weights, which the bank holds."""

    name: str
    hash: str
    """Of its content."""
    shapes: Shapes
    """Of its own weights, which the bank may pad."""
    slot: int
    pins: int = 0
    """Rows that wear it."""
    used: int = 0
    """When it was last taken, by the count of takings."""
    named: bool = field(default=True)
    """Whether its name still leads here; what has lost its name goes with its last row."""


@final
class Seats:
    """The bank that is served from. One thread's.

    Args:
        budget: bytes that the bank may hold, slot 0 and padding included; one adapter is always let in.
        dtype: of the bank.
        device: of the bank.
    """

    def __init__(self, budget: int, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> None:
        self._budget, self._dtype, self._device = budget, dtype, device
        self.bank: Bank = {}
        """Name -> (slots, ...); empty until an adapter comes."""
        self._slots = 0
        self._seats: list[Seat] = []
        self._clock = 0
        self.evictions = 0

    @property
    def bytes(self) -> int:
        """What the bank holds, slot 0, padding and free slots included."""
        return sum(stack.nbytes for stack in self.bank.values())

    def resident(self) -> dict[str, Seat]:
        """The seat of every name that has one."""
        return {seat.name: seat for seat in self._seats if seat.named}

    def pinned(self) -> int:
        """How many pins there are in all."""
        return sum(seat.pins for seat in self._seats)

    def take(self, content: Content) -> Seat:
        """The seat of an adapter, pinned; brought in if it has none, with others let go for it, the longest unused first.

        Raises:
            Busy: rows wear all that would have to go.
            BankError: the weights do not fit each other's sites.
        """
        seat = self.resident().get(content.name)
        if seat is None or seat.hash != content.hash:
            new = self._sit(content)
            if seat in self._seats:
                # Unless room was made by letting it go.
                self._unname(seat)
            seat = new
        self._clock += 1
        seat.used, seat.pins = self._clock, seat.pins + 1
        return seat

    def leave(self, seat: Seat) -> None:
        """One row less wears it."""
        seat.pins -= 1
        if not seat.named and not seat.pins:
            self._seats.remove(seat)

    def unload(self, name: str) -> None:
        """Let a name go.

        Raises:
            NameRefused: it has no seat.
        """
        seat = self.resident().get(name)
        if seat is None:
            raise NameRefused(f"'{name}' is not in the bank.{nearest(name, self.resident())}")
        self._unname(seat)

    def _unname(self, seat: Seat) -> None:
        seat.named = False
        if not seat.pins:
            self._seats.remove(seat)

    def _sit(self, content: Content) -> Seat:
        shapes = _shapes(content.weights)
        self._make_room(shapes)
        self._fit(shapes)
        taken = {seat.slot for seat in self._seats}
        slot = next(slot for slot in range(BASE + 1, self._slots) if slot not in taken)
        put(self.bank, slot, {name: w.to(self._device, self._dtype) for name, w in content.weights.items()})
        seat = Seat(content.name, content.hash, shapes, slot)
        self._seats.append(seat)
        return seat

    def _make_room(self, new: Shapes) -> None:
        """Let go those beside whom the bank could not hold new weights; nobody, if that would not do."""
        staying = list(self._seats)
        while staying and self._size(_padded([*(seat.shapes for seat in staying), new]), len(staying) + 2) > self._budget:
            idle = [seat for seat in staying if not seat.pins]
            if not idle:
                raise Busy(
                    f"Adapters at work leave no room in the bank of {self._budget / 1e6:.0f} MB: ask again, or serve with a larger budget."
                )
            staying.remove(min(idle, key=lambda seat: seat.used))
        self.evictions += len(self._seats) - len(staying)
        self._seats = staying

    def _fit(self, new: Shapes) -> None:
        """A bank with a free slot, and with sites and rank for new weights; as it is, if it has them and is not too large."""
        shapes, slots = _padded([*(seat.shapes for seat in self._seats), new]), len(self._seats) + 2
        there = {name: tuple(stack.shape[1:]) for name, stack in self.bank.items()}
        if slots <= self._slots and _padded([there, shapes]) == there and self.bytes <= max(self._budget, self._size(shapes, slots)):
            return
        # Every growth copies the bank, so it doubles as long as the budget allows.
        doubled = max(_FIRST, 1 << (slots - 1).bit_length())
        self._rebuild(shapes, max(slots, min(doubled, self._budget // self._size(shapes, 1))))

    def _rebuild(self, shapes: Shapes, slots: int) -> None:
        """The bank anew, with those that sit in its first slots."""
        if not self._seats:
            # There is nothing to copy, so the two need not be held side by side.
            self.bank = {}
        moved = {seat.slot: slot for slot, seat in enumerate(self._seats, BASE + 1)}
        # All of it before any of the old goes: if memory is short, the old one is served from as before.
        self.bank = {name: self._moved(self.bank.get(name), moved, (slots, *shape)) for name, shape in shapes.items()}
        self._slots = slots
        for seat in self._seats:
            seat.slot = moved[seat.slot]

    def _moved(self, old: torch.Tensor | None, moved: Mapping[int, int], shape: tuple[int, ...]) -> torch.Tensor:
        new = torch.zeros(shape, dtype=self._dtype, device=self._device)
        if old is not None:
            # What a smaller rank cuts off is zeros.
            corner = tuple(slice(0, min(sizes)) for sizes in zip(old.shape[1:], shape[1:], strict=True))
            for before, after in moved.items():
                new[after][corner] = old[before][corner]
        return new

    def _size(self, shapes: Shapes, slots: int) -> int:
        """Bytes of such a bank."""
        return slots * self._dtype.itemsize * sum(map(math.prod, shapes.values()))


def _shapes(weights: Mapping[str, torch.Tensor]) -> Shapes:
    return {name: tuple(w.shape) for name, w in weights.items()}


def _padded(each: Iterable[Shapes]) -> Shapes:
    """All sites, each at its largest rank. Only a rank may differ; whatever else does, `put` refuses."""
    whole: Shapes = {}
    for shapes in each:
        # Most adapters have the same, and there are hundreds of sites.
        for name, shape in shapes.items() if shapes != whole else ():
            there = whole.get(name, shape)
            whole[name] = tuple(max(a, b) if axis == rank_axis(name) else a for axis, (a, b) in enumerate(zip(there, shape, strict=True)))
    return whole


def digest(folder: Path) -> str:
    """SHA-256 of an adapter's weights, settings and kept examples; whatever else lies in its folder may be of any size."""
    it = hashlib.sha256()
    for path in (folder / name for name in _FILES):
        if path.is_file():
            it.update(path.name.encode() + b"\0")
            with path.open("rb") as file:
                hashlib.file_digest(file, lambda: it)
    return it.hexdigest()
