"""The table of what starts are worth: tasks are paired by their numbers, whichever result they stand in."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Its module, which reads results from here."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    found = importlib.import_module("worth.families")
    monkeypatch.setattr(found, "HERE", tmp_path)
    (tmp_path / "results").mkdir()
    return found


def write(table: ModuleType, name: str, first: int, asked: str = "behind", **ways: list[float]) -> None:
    cells = [{"way": way, "shots": 10, "asked": asked, "exact": {"values": shares}} for way, shares in ways.items()]
    (table.HERE / "results" / f"{name}.json").write_text(json.dumps({"config": {"first": first}, "cells": cells}))


def test_ways_are_compared_on_the_tasks_that_both_were_asked(table: ModuleType) -> None:
    family = table.Family("toys", "own", 10, ("one", "other"), "nothing")
    write(table, "one", 0, own=[1.0, 0.5, 1.0, 0.0], none=[0.5, 0.0, 0.5])
    write(table, "other", 3, none=[0.0, 1.0], prompt=[0.0])
    (line,) = table._row(family)
    # Three tasks 50 points ahead and one level; task 4 was not begun from the start.
    assert line.startswith("| toys | nothing | `own` | 10 | 4 | 63 (")
    assert "| 25 (0 to " in line, "scratch, too, without task 4"
    assert "| +38 (-2 to +77) |" in line


def test_a_lead_whose_interval_holds_no_zero_stands_out(table: ModuleType) -> None:
    family = table.Family("toys", "own", 10, ("one",), "nothing")
    write(table, "one", 0, own=[1.0, 0.75, 1.0], none=[0.25, 0.0, 0.5], prompt=[1.0, 0.75, 0.75])
    (line,) = table._row(family)
    assert "| **+67 (" in line
    assert "| +8 (" in line


def test_weights_that_stand_alone_are_held_against_scratch_taught_alike_and_the_prompt(table: ModuleType) -> None:
    family = table.Family("toys", "own", 10, ("alone", "behind"), "nothing", alone=True)
    write(table, "alone", 4, "alone", **{"own plain": [1.0, 0.5, 1.0], "none plain": [0.5, 0.0, 0.25]})
    write(table, "behind", 4, own=[1.0, 1.0, 1.0], none=[1.0, 1.0, 1.0], prompt=[0.25, 0.25, 0.25])
    (line,) = table._row(family)
    assert line.startswith("| toys | nothing | `own` | 10 | 3 | 83 (")
    assert "| 25 (0 to " in line
    assert "| 25 (4 to 74) |" in line, "three equal tasks are no certainty"


def test_what_was_not_measured_has_no_line(table: ModuleType) -> None:
    family = table.Family("toys", "own", 10, ("one",), "nothing")
    assert list(table._row(family)) == []
    write(table, "one", 0, none=[1.0, 1.0])
    assert list(table._row(family)) == []


def test_in_context_stands_beside_both_forms_of_pooled_on_the_tasks_that_both_were_asked(table: ModuleType) -> None:
    pooled = importlib.import_module("worth.pooled")
    assert pooled.pooled() == [], "nothing was measured"
    cells = [
        {"way": way, "shots": 10, "asked": asked, "exact": {"values": shares}}
        for way, asked, shares in (
            ("all", "behind", [1.0, 0.5, 1.0, 0.0]),
            ("all-pooled plain", "alone", [0.5, 0.0, 0.5]),
            ("all-pooled", "behind", [1.0, 0.75, 0.75, 0.0]),
        )
    ]
    (table.HERE / "results" / "pooled-labels.json").write_text(json.dumps({"config": {"first": 0}, "cells": cells}))
    *_, line, empty = pooled.pooled()
    assert line.startswith("| labels | 10 | 4 | 63 (")
    assert "| +50 on every task |" in line, "task 3 was not asked of both"
    assert line.endswith("| +0 (-32 to +32) |")
    assert empty == ""


def test_ways_that_are_alike_on_every_task_have_no_interval(table: ModuleType) -> None:
    family = table.Family("toys", "own", 10, ("one",), "nothing")
    write(table, "one", 0, own=[1.0, 0.5, 0.9], none=[1.0, 0.5, 0.9], prompt=[0.6, 0.1, 0.5])
    (line,) = table._row(family)
    assert line.endswith("| the same on every task | +40 on every task |")


def test_two_starts_are_compared_once() -> None:
    table = importlib.import_module("worth.table")
    cells = [
        {"way": way, "shots": 10, "asked": asked, "tasks": 3, "exact": {"values": shares}}
        for way, asked, shares in (
            ("none", "behind", [0.0, 0.0, 0.5]),
            ("one", "behind", [0.0, 0.5, 1.0]),
            ("other", "behind", [0.0, 0.5, 1.0]),
            ("one plain", "alone", [0.5, 0.0, 0.0]),
        )
    ]
    lines = table._paired({"starts": {"one": {}, "other": {}}, "cells": cells})
    assert [line.partition(" on 10")[0] for line in lines] == ["- start `one` adapted", "- start `other` adapted", "- start `one` adapted"]
    assert lines[0].endswith("+33 points (-38 to +105): no difference beyond chance")
    assert lines[2].endswith("less start `other`, then adapted, asked behind the examples: the same on every task")
