"""Who sits where."""

import os
import random
from pathlib import Path

import pytest
import torch

from headstart.adapters.seats import Content, Seat, Seats, digest
from headstart.adapters.still import stamp
from headstart.bank import Weights, take
from headstart.errors import BankError, Busy, NameRefused


def weights(value: float, rank: int = 2, site: str = "x") -> Weights:
    return {f"{site}.lora_A": torch.full((rank, 3), value), f"{site}.lora_B": torch.full((5, rank), -value)}


def content(name: str, value: float = 1.0, rank: int = 2, site: str = "x", version: int = 0) -> Content:
    return Content(name, weights(value, rank, site), (), (), f"{name} {version}")


SIZE = 16 * 4
"""Of a slot."""


def held(seats: Seats) -> int:
    """Bytes of all tensors there are."""
    return sum(stack.nbytes for stack in seats.bank.values())


def wears(seats: Seats, seat: Seat, value: float, rank: int = 2, site: str = "x") -> bool:
    """Whether a seat's slot has the weights, and zeros wherever they have nothing."""
    there = take(seats.bank, seat.slot)
    padded = {name: torch.zeros_like(w) for name, w in there.items()}
    for name, w in weights(value, rank, site).items():
        padded[name][: w.shape[0], : w.shape[1]] = w
    return all(torch.equal(w, padded[name]) for name, w in there.items())


def test_an_adapter_sits_once_however_often_it_is_taken() -> None:
    seats = Seats(10 * SIZE)
    first = seats.take(content("a", 2.0))
    assert seats.take(content("a", 2.0)) is first
    assert (first.pins, seats.pinned(), seats.bytes) == (2, 2, 4 * SIZE)
    assert all(torch.equal(w, weights(2.0)[name]) for name, w in take(seats.bank, first.slot).items())
    assert not any(stack[0].any() for stack in seats.bank.values()), "slot 0 is the base"


def test_the_longest_unused_goes_first_and_the_pinned_never() -> None:
    seats = Seats(3 * SIZE)
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
    assert seats.resident() == {"a": new}
    assert seats.take(content("b")).slot not in (old.slot, new.slot)
    gone = old.slot
    seats.leave(old)
    assert seats.take(content("c")).slot == gone


def test_new_content_may_take_the_room_of_the_old() -> None:
    seats = Seats(SIZE)
    seats.leave(seats.take(content("a", 1.0)))
    new = seats.take(content("a", 2.0, version=1))
    assert (seats.resident(), seats.bytes, seats.evictions) == ({"a": new}, 2 * SIZE, 1)
    assert take(seats.bank, new.slot)["x.lora_A"].eq(2).all()


def test_the_bank_grows_in_slots_rank_and_sites_and_keeps_what_it_had() -> None:
    seats = Seats(10**9)
    sat = {name: seats.take(content(name, float(i))) for i, name in enumerate("abcdefgh")}
    wide, other = seats.take(content("wide", 7.0, rank=6)), seats.take(content("other", 8.0, site="y"))
    for i, name in enumerate("abcdefgh"):
        there = take(seats.bank, sat[name].slot)
        assert there["x.lora_A"][:2].eq(i).all()
        assert not there["x.lora_A"][2:].any()
        assert not there["y.lora_A"].any()
    assert take(seats.bank, wide.slot)["x.lora_A"].eq(7).all()
    assert take(seats.bank, other.slot)["y.lora_B"].eq(-8).all()
    with pytest.raises(BankError, match="does not fit"):
        seats.take(Content("bent", {"x.lora_A": torch.ones(2, 4), "x.lora_B": torch.ones(5, 2)}, (), (), ""))


def test_a_name_is_let_go_at_once_and_its_seat_with_the_last_row() -> None:
    seats = Seats(10 * SIZE)
    seat = seats.take(content("a"))
    seats.unload("a")
    assert (seats.resident(), seats.pinned()) == ({}, 1)
    assert seats.take(content("b")).slot != seat.slot
    with pytest.raises(NameRefused, match="not in the bank"):
        seats.unload("a")
    gone = seat.slot
    seats.leave(seat)
    assert seats.take(content("c")).slot == gone


def test_the_budget_bounds_what_the_bank_holds_however_ranks_and_sites_differ() -> None:
    seats = Seats(40 * SIZE)
    seats.leave(seats.take(content("wide", rank=16)))
    for i in range(30):
        seats.leave(seats.take(content(f"narrow {i}", site="xy"[i % 2])))
        assert seats.bytes == held(seats) <= 40 * SIZE
    assert "wide" not in seats.resident()
    assert len(seats.resident()) > 15, "what the wide one took is theirs"


def test_an_adapter_too_large_for_the_budget_is_let_in_alone_and_its_room_is_given_back() -> None:
    seats = Seats(4 * SIZE)
    seats.leave(seats.take(content("small")))
    wide = seats.take(content("wide", 3.0, rank=32))
    assert (list(seats.resident()), seats.bytes, held(seats)) == (["wide"], 32 * SIZE, 32 * SIZE)
    assert wears(seats, wide, 3.0, rank=32)
    with pytest.raises(Busy):
        seats.take(content("small"))
    seats.leave(wide)
    small = seats.take(content("small", 2.0))
    assert (list(seats.resident()), held(seats)) == (["small"], 4 * SIZE)
    assert wears(seats, small, 2.0)


def test_nobody_goes_for_one_that_finds_no_room_all_the_same() -> None:
    seats = Seats(8 * SIZE)
    seats.leave(seats.take(content("idle")))
    seats.take(content("pinned"))
    with pytest.raises(Busy):
        seats.take(content("wide", rank=8))
    assert (set(seats.resident()), seats.evictions) == ({"idle", "pinned"}, 0)


def test_whoever_sits_keeps_its_weights_whatever_comes_and_goes() -> None:
    rng, seats, at_work = random.Random(0), Seats(30 * SIZE), []  # type: ignore[var-annotated]
    for i in range(300):
        value, rank, site = float(i + 1), rng.choice((1, 2, 2, 5)), rng.choice("xxy")
        try:
            at_work.append((seats.take(content(str(i), value, rank, site)), value, rank, site))
        except Busy:
            assert at_work
        while at_work and rng.random() < 0.6:
            seats.leave(at_work.pop(rng.randrange(len(at_work)))[0])
        assert held(seats) <= 30 * SIZE
        assert all(wears(seats, *it) for it in at_work)
        assert len({seat.slot for seat in seats.resident().values()} | {0}) == len(seats.resident()) + 1
        assert not any(stack[0].any() for stack in seats.bank.values())
    assert seats.evictions > 50


def test_a_stamp_is_of_the_files_and_not_of_their_folder(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    first, folder = stamp(tmp_path), tmp_path.stat().st_mtime_ns
    assert stamp(tmp_path) == first
    file.write_bytes(b"three")
    assert tmp_path.stat().st_mtime_ns == folder
    assert stamp(tmp_path) != first
    assert stamp(tmp_path / "none") == ()


@pytest.mark.parametrize("change", ["touched", "longer", "another", "of the same length, its time set back"])
def test_what_is_touched_or_longer_or_another_file_has_another_stamp(tmp_path: Path, change: str) -> None:
    file, other = tmp_path / "weights", tmp_path.parent / "other"
    file.write_bytes(b"one")
    before, first = file.stat().st_mtime_ns, stamp(tmp_path)
    if change == "longer":
        file.write_bytes(b"three")
    if change.startswith("of the same"):
        # Where clocks are coarse, two writes in one tick are one time.
        while file.stat().st_ctime_ns == first[0][4]:
            file.write_bytes(b"two")
    if change == "another":
        other.write_bytes(b"two")
        other.replace(file)
    os.utime(file, ns=(before, before + (change == "touched")))
    assert stamp(tmp_path) != first


def test_folders_inside_have_no_part_in_a_stamp(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"one")
    first = stamp(tmp_path)
    (tmp_path / "notes").mkdir()
    assert stamp(tmp_path) == first


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json", "prefix.jsonl"])
def test_a_digest_is_of_weights_settings_and_kept_examples(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"one")
    first = digest(tmp_path)
    (tmp_path / "README.md").write_bytes(b"a card")
    assert digest(tmp_path) == first
    (tmp_path / name).write_bytes(b"two")
    assert digest(tmp_path) != first
