"""Who sits where: adapters of the shelf in the slots of one bank, within a budget of bytes.

A seat is pinned while a row wears it. New content of an adapter takes another seat, and the name moves; rows at work keep the old one.
The bank has the sites and the rank that its adapters need and no more, and grows when one needs more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import torch

from headstart.bank import BASE, Bank, Weights, put
from headstart.episode import Example
from headstart.errors import Busy, NameRefused, nearest

_FIRST = 4
"""Slots of a bank that has just been made."""


@final
@dataclass(frozen=True)
class Content:
    """An adapter as it was read from the shelf."""

    name: str
    weights: Weights
    before: tuple[Example, ...]
    """Examples that are kept in front of every prompt."""
    stamp: tuple[int, int]
    """Of the folder; another stamp is another content."""
    hash: str
    """SHA-256 of its files."""

    @property
    def bytes(self) -> int:
        """As it was read."""
        return sum(w.numel() * w.element_size() for w in self.weights.values())


@final
@dataclass(eq=False)
class Seat:
    """An adapter in a slot."""

    content: Content
    slot: int
    bytes: int
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
        budget: bytes that the bank may hold beside slot 0; one adapter is always let in.
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
        """What sits in the bank."""
        return sum(seat.bytes for seat in self._seats)

    def resident(self) -> dict[str, Seat]:
        """The seat of every name that has one."""
        return {seat.content.name: seat for seat in self._seats if seat.named}

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
        if seat is None or seat.content.hash != content.hash:
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
        size = sum(w.numel() for w in content.weights.values()) * torch.empty((), dtype=self._dtype).element_size()
        self._make_room(size)
        self._fit(content.weights)
        taken = {seat.slot for seat in self._seats}
        slot = next(slot for slot in range(BASE + 1, self._slots) if slot not in taken)
        put(self.bank, slot, {name: w.to(self._device, self._dtype) for name, w in content.weights.items()})
        seat = Seat(content, slot, size)
        self._seats.append(seat)
        return seat

    def _make_room(self, size: int) -> None:
        while self._seats and self.bytes + size > self._budget:
            idle = [seat for seat in self._seats if not seat.pins]
            if not idle:
                raise Busy(
                    f"{self.bytes / 1e6:.0f} MB of adapters are at work and {self._budget / 1e6:.0f} MB are allowed: ask again, or "
                    "serve with a larger budget."
                )
            self._seats.remove(min(idle, key=lambda seat: seat.used))
            self.evictions += 1

    def _fit(self, weights: Mapping[str, torch.Tensor]) -> None:
        """A bank with a free slot, and with sites and rank for these weights; as it is, if it has them."""
        slots = self._slots
        if len(self._seats) + 1 >= slots:
            slots = max(_FIRST, 2 * slots)
        shapes = {name: tuple(stack.shape[1:]) for name, stack in self.bank.items()}
        for name, w in weights.items():
            there = shapes.get(name, tuple(w.shape))
            # Only a rank may differ; whatever else does, `put` refuses.
            rank = {"lora_A": 0, "lora_B": 1}[name.rpartition(".")[2]]
            shapes[name] = tuple(max(a, b) if axis == rank else a for axis, (a, b) in enumerate(zip(there, w.shape, strict=True)))
        self._slots = slots
        for name, shape in shapes.items():
            old = self.bank.get(name)
            if old is None or tuple(old.shape) != (slots, *shape):
                self.bank[name] = _grown(old, (slots, *shape), self._dtype, self._device)


def _grown(old: torch.Tensor | None, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | str) -> torch.Tensor:
    new = torch.zeros(shape, dtype=dtype, device=device)
    if old is not None:
        new[tuple(slice(0, size) for size in old.shape)] = old
    return new


def stamp(folder: Path) -> tuple[int, int]:
    """What changes when an adapter's folder is replaced."""
    facts = folder.stat()
    return facts.st_ino, facts.st_mtime_ns


def digest(folder: Path) -> str:
    """SHA-256 of an adapter's weights, settings and kept examples."""
    it = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".safetensors", ".json", ".jsonl") and path.is_file():
            it.update(path.name.encode() + b"\0" + path.read_bytes())
    return it.hexdigest()
