"""The budget: adapters come and go, the bank is made anew, and every answer is the one that it would be alone."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.errors import NameRefused
from headstart.lm.load import Base
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
