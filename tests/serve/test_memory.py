"""Memory that is refused harms the one who asked for it, and no answer that comes later."""

from __future__ import annotations

import threading
import time

import pytest
from torch import Tensor

from headstart.adapters.store import Shelf
from headstart.lm.generate import Sampling
from headstart.lm.load import Base
from headstart.lm.places import Places
from headstart.serve import batch
from headstart.serve.engine import Running
from tests.serve.asking import Make, alone, answer, ask


class Refused:
    """Memory that is refused once, and as often as it is said to be."""

    def __init__(self) -> None:
        self.left = 0

    def look(self) -> None:
        if self.left:
            self.left -= 1
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")


@pytest.fixture
def refused() -> Refused:
    return Refused()


def right(own: Base, shelf: Shelf, engine: Running) -> None:
    """Whether each adapter's answer is its own."""
    for name in "abc":
        assert answer(engine.submit(ask(name)))[0] == alone(own, shelf, ask(name))


def test_a_row_that_finds_no_room_leaves_no_trace(
    own: Base, shelf: Shelf, running: Make, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, room, long = running(), Places.room, ask("a", "blue please " + "x" * 60)
    answer(engine.submit(long))

    def narrow(it: Places, layer: int, *given: Tensor) -> tuple[Tensor, Tensor]:
        if layer == 1:
            refused.look()
        return room(it, layer, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Places, "room", narrow)
    refused.left = 1
    # It begins as the one before, so that room is wanted before its pass.
    assert answer(engine.submit(long))[1].error == "The answer failed."
    right(own, shelf, engine)
    assert engine.figures()["leaks"] == 0


def test_a_pass_that_fails_behind_the_layers_is_read_again_from_where_it_began(
    own: Base, shelf: Shelf, running: Make, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, gate = running(), threading.Event()
    head = engine._pass.head
    asked = [ask("a", "blue please " + "y" * 300), ask("b")]
    expected = [alone(own, shelf, it) for it in asked]

    def narrow(reaching: Tensor) -> Tensor:
        refused.look()
        return head(reaching)

    # Both in one pass, as two may be once it is known what a token takes.
    answer(engine.submit(ask(None, "red")))
    monkeypatch.setattr(engine._pass, "head", narrow)
    refused.left = 1
    engine._inbox.put(lambda: gate.wait(10))
    streams = [engine.submit(it) for it in asked]
    gate.set()
    assert [answer(stream)[0] for stream in streams] == expected
    again, end = answer(engine.submit(asked[0]))
    assert (again, end.cached_tokens) == (expected[0], end.prompt_tokens - 1)


def test_what_is_left_behind_when_nobody_is_at_work_is_cleared_away(own: Base, shelf: Shelf, running: Make) -> None:
    engine = running()
    engine._inbox.do(lambda: engine._batch.places.join([], 0))
    deadline = time.monotonic() + 10
    while engine.figures()["leaks"] == 0:
        assert time.monotonic() < deadline
    right(own, shelf, engine)
    assert engine.figures()["leaks"] == 1


def test_places_are_let_go_when_nobody_is_in_them_unless_they_are_small(running: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = running()
    answer(engine.submit(ask(None, "red")))
    assert engine.figures()["cache_bytes"] > 0
    monkeypatch.setattr(batch, "SPARE", 0)
    time.sleep(1.5)
    assert engine.figures()["cache_bytes"] > 0, "for those who come next"
    monkeypatch.setattr(batch, "REST", 0)
    answer(engine.submit(ask(None, "red")))
    deadline = time.monotonic() + 10
    while engine.figures()["cache_bytes"]:
        assert time.monotonic() < deadline
    assert answer(engine.submit(ask(None, "red")))[1].reason in ("stop", "length")


def test_a_row_waits_where_its_prompt_would_take_more_room_than_there_is(own: Base, shelf: Shelf, running: Make) -> None:
    short, long = ask("a", "red", Sampling(max_tokens=150, temperature=2.0)), ask("b", "x" * 400)
    expected = [alone(own, shelf, it) for it in (short, long)]
    config = own.model.config
    token = config.num_hidden_layers * 2 * config.num_key_value_heads * config.head_dim * 4
    engine = running(room=2 * 256 * token, rows=4)
    answer(engine.submit(ask(None, "red")))
    streams = [engine.submit(it) for it in (short, long, short)]
    together = []
    while engine.busy():
        together.append((engine.figures()["rows"], engine.figures()["cache_bytes"]))
    assert [answer(stream)[0] for stream in streams] == [expected[0], expected[1], expected[0]]
    assert max(rows for rows, _ in together) == 2, "short ones share a pass"
    assert max(bytes for _, bytes in together) == 512 * token, "a long one is alone"
