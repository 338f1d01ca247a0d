"""Who sits where."""

import pytest
import torch

from headstart.adapters.seats import Content, Seats
from headstart.bank import Weights, take
from headstart.errors import BankError, Busy, NameRefused


def weights(value: float, rank: int = 2, site: str = "x") -> Weights:
    return {f"{site}.lora_A": torch.full((rank, 3), value), f"{site}.lora_B": torch.full((5, rank), -value)}


def content(name: str, value: float = 1.0, rank: int = 2, site: str = "x", version: int = 0) -> Content:
    return Content(name, weights(value, rank, site), (), (version, 0), f"{name} {version}")


SIZE = 16 * 4


def test_an_adapter_sits_once_however_often_it_is_taken() -> None:
    seats = Seats(10 * SIZE)
    first = seats.take(content("a", 2.0))
    assert seats.take(content("a", 2.0)) is first
    assert (first.pins, seats.pinned(), seats.bytes) == (2, 2, SIZE)
    assert all(torch.equal(w, weights(2.0)[name]) for name, w in take(seats.bank, first.slot).items())
    assert not any(stack[0].any() for stack in seats.bank.values()), "slot 0 is the base"


def test_the_longest_unused_goes_first_and_the_pinned_never() -> None:
    seats = Seats(2 * SIZE)
    a, b = seats.take(content("a")), seats.take(content("b"))
    with pytest.raises(Busy, match="ask again"):
        seats.take(content("c"))
    seats.leave(a)
    seats.leave(b)
    seats.leave(seats.take(content("a")))
    seats.take(content("c"))
    assert (list(seats.resident()), seats.evictions) == (["a", "c"], 1)


def test_new_content_takes_another_seat_and_the_old_one_goes_with_its_last_row() -> None:
    seats = Seats(10 * SIZE)
    old = seats.take(content("a", 1.0))
    new = seats.take(content("a", 2.0, version=1))
    assert old.slot != new.slot
    assert take(seats.bank, old.slot)["x.lora_A"].eq(1).all()
    assert (seats.resident(), seats.bytes) == ({"a": new}, 2 * SIZE)
    seats.leave(old)
    assert seats.bytes == SIZE


def test_new_content_may_take_the_room_of_the_old() -> None:
    seats = Seats(SIZE)
    seats.leave(seats.take(content("a", 1.0)))
    new = seats.take(content("a", 2.0, version=1))
    assert (seats.resident(), seats.bytes, seats.evictions) == ({"a": new}, SIZE, 1)
    assert take(seats.bank, new.slot)["x.lora_A"].eq(2).all()


def test_the_bank_grows_in_slots_rank_and_sites_and_keeps_what_it_had() -> None:
    seats = Seats(10**9)
    held = {name: seats.take(content(name, float(i))) for i, name in enumerate("abcdefgh")}
    wide, other = seats.take(content("wide", 7.0, rank=6)), seats.take(content("other", 8.0, site="y"))
    for i, name in enumerate("abcdefgh"):
        there = take(seats.bank, held[name].slot)
        assert there["x.lora_A"][:2].eq(i).all()
        assert not there["x.lora_A"][2:].any()
        assert not there["y.lora_A"].any()
    assert take(seats.bank, wide.slot)["x.lora_A"].eq(7).all()
    assert take(seats.bank, other.slot)["y.lora_B"].eq(-8).all()
    with pytest.raises(BankError, match="does not fit"):
        seats.take(Content("bent", {"x.lora_A": torch.ones(2, 4), "x.lora_B": torch.ones(5, 2)}, (), (0, 0), ""))


def test_a_name_is_let_go_at_once_and_its_seat_with_the_last_row() -> None:
    seats = Seats(10 * SIZE)
    seat = seats.take(content("a"))
    seats.unload("a")
    assert (seats.resident(), seats.bytes) == ({}, SIZE)
    with pytest.raises(NameRefused, match="not in the bank"):
        seats.unload("a")
    seats.leave(seat)
    assert seats.bytes == 0
