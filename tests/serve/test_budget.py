"""The budget: adapters come and go, the bank is made anew, and every answer is the one that it would be alone."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, replace
from typing import Any

import pytest

from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.errors import NameRefused
from headstart.lm.generate import Sampling
from headstart.lm.load import Base
from headstart.serve import batch
from headstart.serve.engine import Running
from headstart.serve.request import Ask, Ended
from tests.serve.conftest import loud
from tests.serve.test_engine import Make, alone, answer, ask, many


def test_adapters_are_let_go_by_bytes_and_come_back(own: Base, shelf: Shelf, running: Make) -> None:
    size = sum(w.numel() for w in shelf.read("a", key_of(own)).values()) * 4
    engine, expected = running(budget=3 * size), {name: alone(own, shelf, ask(name)) for name in "abc"}
    for name in "abcabc":
        assert answer(engine.submit(ask(name)))[0] == expected[name]
    figures = engine.figures()
    assert (figures["adapters"], figures["adapter_bytes"], figures["evictions"]) == (2, 3 * size, 4)
    engine.unload("c")
    assert [it.name for it in engine.served() if it.resident][1:] == ["b"]
    with pytest.raises(NameRefused, match="'c' is not in the bank"):
        engine.unload("c")


def test_a_bank_that_is_made_anew_under_rows_at_work_changes_no_answer(own: Base, shelf: Shelf, running: Make) -> None:
    size = sum(w.numel() for w in shelf.read("a", key_of(own)).values()) * 4
    engine, asked = running(budget=4 * size, rows=3), many(24)
    expected = [alone(own, shelf, it) for it in asked]
    pins: list[int] = []

    def rebuild(*given: Any) -> None:
        pins.append(engine._seats.pinned())
        again(*given)

    again, engine._seats._rebuild = engine._seats._rebuild, rebuild  # type: ignore[method-assign]
    assert [answer(stream)[0] for stream in [engine.submit(it) for it in asked]] == expected
    assert any(pins), "it was made anew while rows were at work"
    assert engine.figures()["adapter_bytes"] <= 4 * size


def test_a_budget_below_one_adapter_still_serves_one_at_a_time(running: Make) -> None:
    engine = running(budget=1)
    assert all(answer(stream)[1].reason in ("stop", "length") for stream in [engine.submit(ask(name)) for name in "abab"])


def test_adapters_are_replaced_under_a_budget_that_holds_one(own: Base, shelf: Shelf, running: Make) -> None:
    engine = running(budget=sum(w.numel() for w in shelf.read("a", key_of(own)).values()) * 4)
    for seed in (0, 1, 0, 1):
        shelf.write("a", loud(own, seed), {"base": asdict(key_of(own))}, 2, replace=True)
        assert answer(engine.submit(ask("a")))[0] == alone(own, shelf, ask("a"))


def flooded(engine: Running, asked: Ask, out_of: Ask) -> tuple[Ended, int]:
    """How one ends that comes among many of another adapter, which follow each other without a gap; how many of them it saw pass."""
    stop, passed = threading.Event(), []

    def flood(length: int) -> None:
        while not stop.is_set():
            passed.append(answer(engine.submit(replace(out_of, sampling=Sampling(length, 1.5, seed=length)))))

    threads = [threading.Thread(target=flood, args=(length,), daemon=True) for length in (40, 55, 70, 85)]
    for thread in threads:
        thread.start()
    while not passed:
        time.sleep(0.01)
    before = len(passed)
    end = answer(engine.submit(asked))[1]
    seen = len(passed) - before
    stop.set()
    for thread in threads:
        thread.join(60)
    return end, seen


@pytest.mark.parametrize("wants", ["a seat", "room"])
def test_one_that_came_first_is_not_kept_out_by_those_that_come_without_end(
    own: Base, shelf: Shelf, running: Make, monkeypatch: pytest.MonkeyPatch, wants: str
) -> None:
    monkeypatch.setattr(batch, "PATIENCE", 0.2)
    size = sum(w.numel() for w in shelf.read("a", key_of(own)).values()) * 4
    if wants == "a seat":
        engine = running(budget=int(2.5 * size), rows=4, deadline=30)
        end, passed = flooded(engine, ask("b", "red"), ask("a", "red"))
    else:
        config = own.model.config
        token = config.num_hidden_layers * 2 * config.num_key_value_heads * config.head_dim * 4
        engine = running(room=4 * 128 * token, rows=4, deadline=30)
        end, passed = flooded(engine, ask("a", "x" * 400), ask("a", "red"))
    assert end.reason in ("stop", "length"), end.error
    assert passed > 0, "those that come later pass for a while"
    assert engine.figures()["errors"] == 0


def test_the_first_burst_of_a_server_is_bounded_too(running: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, at_work = running(room=1, rows=4), []
    go_on = engine._go_on
    monkeypatch.setattr(engine, "_go_on", lambda rows: at_work.append(len(rows)) or go_on(rows))
    assert all(answer(stream)[1].reason in ("stop", "length") for stream in [engine.submit(ask("a")) for _ in range(4)])
    assert set(at_work) == {1}
