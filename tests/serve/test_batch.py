"""Who sits down, who waits, and for whom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest

from headstart.adapters.seats import Seats
from headstart.errors import Busy
from headstart.lm.load import Base
from headstart.lm.places import Places
from headstart.serve.batch import PATIENCE, SHARED, Batch, _keeps_out
from headstart.serve.door import Entered
from headstart.serve.kept import Kept
from headstart.serve.row import Row
from tests.adapters.test_seats import SIZE, content
from tests.serve.asking import ask

Rows = Callable[..., Row]


@pytest.fixture
def row(own: Base) -> Rows:
    def make(adapter: str | None = None, tokens: tuple[int, ...] = (1, 2, 3)) -> Row:
        return Row(Entered(ask(adapter), tokens, 4, content(adapter) if adapter else None, math.inf), own.chat)

    return make


@pytest.fixture
def batch(monkeypatch: pytest.MonkeyPatch) -> Batch:
    """With room for three of three tokens, or for fewer longer ones."""
    monkeypatch.setattr(Places, "size", lambda places, rows, length: rows * length)
    return Batch(Seats(1 << 20), Kept(1 << 20), most=4, room=9)


def seated(batch: Batch, *rows: Row) -> list[bool]:
    batch.waiting += rows
    return [batch.sit(row) for row in rows]


def test_one_that_waits_for_a_seat_is_kept_out_by_other_adapters_alone_and_for_room_by_all(row: Rows) -> None:
    first, same, other, bare = row("a"), row("a"), row("b"), row()
    assert not _keeps_out(other, first), "it was never refused"
    first.refused = time.monotonic() - PATIENCE - 1
    assert [_keeps_out(it, first) for it in (same, other, bare)] == [False, True, False]
    first.crowded = True
    assert [_keeps_out(it, first) for it in (same, other, bare)] == [True, True, True]
    first.refused = time.monotonic() - PATIENCE / 2
    assert not _keeps_out(other, first), "it is not yet impatient"


def test_those_that_came_later_wait_for_one_that_is_impatient(batch: Batch, row: Rows) -> None:
    first, other = row("a"), row("b")
    batch.waiting += [first, other]
    assert list(batch.next()) == [first, other]
    first.refused = time.monotonic() - PATIENCE - 1
    assert list(batch.next()) == [first]
    told = []
    for it in batch.next():
        told.append(it)
        batch.waiting.remove(it)
    assert told == [first, other], "it sits, and keeps out nobody any more"
    full = Batch(Seats(1 << 20), Kept(1 << 20), most=0, room=9)
    full.waiting.append(first)
    assert list(full.next()) == []


def test_what_two_begin_with_is_read_once_where_it_is_worth_waiting_for(batch: Batch, row: Rows) -> None:
    long = tuple(range(3 * SHARED))
    first, again, other = row("a", long), row("a", long), row("b", long)
    little, enough = (row("a", (*long[:shared], 1, 2)) for shared in (SHARED - 1, SHARED))
    batch = Batch(batch._seats, Kept(1 << 20), most=4, room=1 << 20)
    assert seated(batch, first, again, little, enough, other) == [True, False, True, False, True]
    assert (batch.rows, batch.waiting) == ([first, little, other], [again, enough])
    batch.leave(other)
    first.read = len(long)
    assert batch.sit(again)


def test_a_burst_behind_what_one_has_read_sits_down_at_once(batch: Batch, row: Rows) -> None:
    long = tuple(range(3 * SHARED))
    first, *others = (row("a", (*long, *end)) for end in ((90, 1), (91, 2, 2, 1), (91, 2, 2, 2), (91, 2, 2, 3)))
    batch = Batch(batch._seats, Kept(1 << 20), most=4, room=1 << 20)
    seated(batch, first)
    first.read = len(long)
    # Each is more like the one that sat down just before it, which has read nothing beyond.
    assert seated(batch, *others) == [True, True, True]
    assert [it.cached for it in others] == [len(long)] * 3


def test_one_too_many_is_refused_for_room_and_says_so(batch: Batch, row: Rows) -> None:
    rows = [row(), row(), row(), row()]
    assert seated(batch, *rows) == [True, True, True, False]
    assert rows[3].crowded
    assert rows[3].refused <= time.monotonic()


@pytest.mark.parametrize(("grown", "tokens", "sits"), [(0, 4, True), (0, 5, False), (1, 1, True), (2, 1, False)])
def test_all_at_work_take_as_much_room_as_the_longest(batch: Batch, row: Rows, grown: int, tokens: int, sits: bool) -> None:
    first = row()
    assert seated(batch, first) == [True]
    first.growing.tokens.extend([7] * grown)
    assert seated(batch, row(None, tuple(range(9, 9 + tokens)))) == [sits]


def test_one_alone_sits_down_whatever_its_length(batch: Batch, row: Rows) -> None:
    assert seated(batch, row(None, tuple(range(99)))) == [True]


def test_one_whose_adapter_finds_no_seat_waits_for_those_at_work_and_for_nobody_else(batch: Batch, row: Rows) -> None:
    batch = Batch(Seats(2 * SIZE), Kept(1 << 20), most=4, room=9)
    first, other = row("a"), row("b")
    assert seated(batch, first, other) == [True, False]
    assert not other.crowded
    assert other.refused <= time.monotonic()
    batch.leave(first)
    held = batch._seats.take(content("c"))
    with pytest.raises(Busy):
        batch.sit(other)
    batch._seats.leave(held)
    assert batch.sit(other)


def test_who_leaves_leaves_the_seat_and_the_last_takes_the_place(batch: Batch, row: Rows) -> None:
    rows = [row("a"), row("b"), row("c", (5, 6))]
    assert all(seated(batch, *rows))
    waiting = row()
    batch.waiting.append(waiting)
    for leaving, left in ((rows[0], [rows[2], rows[1]]), (waiting, [rows[2], rows[1]]), (rows[1], [rows[2]]), (rows[2], [])):
        batch.leave(leaving)
        assert batch.rows == left
        assert batch._seats.pinned() == len(batch.places.lengths) == len(left)
    assert not batch.waiting
    assert not batch.look_round()
    seated(batch, row("a"))
    batch.rows.clear()
    assert batch.look_round(), "a seat and a place were left"
    assert not batch.places.lengths
    assert batch.look_round(), "the seat is pinned still"
