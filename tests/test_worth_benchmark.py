"""The benchmark of starts: what is kept of it is believed only as long as it would be measured so again."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from headstart.adapters.starts import ALONE, KIND, Stride
from headstart.adapters.store import BaseKey, Shelf
from headstart.adapters.wear import key_of
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.tasks.sql import Dialects
from headstart.teach.recipe import MANY

RUN = Path(__file__).parent.parent / "benchmarks" / "worth" / "run.py"
KEY = BaseKey("some/base", "c" * 64, "t" * 64, "p" * 64)


@pytest.fixture
def bench(home: Path, tiny: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Its script, which writes here and makes cells without measuring."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec = importlib.util.spec_from_file_location("worth_run", RUN)
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "worth_run", found)
    spec.loader.exec_module(found)

    def alone(family: object, base: object, config: object, left: list[Any], starts: object) -> Iterator[list[dict[str, Any]]]:
        for cell in left:
            lesson = found.lesson_of(family, config, cell)
            texts = [it.completion for it in lesson.query]
            yield [found.told(cell, 0, 0.0, lesson, {"behind": texts, "alone": texts})]

    for name, made in {"HERE": tmp_path, "alone": alone, "load": lambda _: tiny, "hush": lambda: None}.items():
        monkeypatch.setattr(found, name, made)
    return found


def config(**other: Any) -> dict[str, Any]:
    plain = {"family": "dialects", "split": "test", "first": 0, "queries": 2, "tasks": 2, "seeds": 1, "starts": []}
    return plain | {"shots": {"none": [10, 100], "prompt": [10]}} | other


def measured(bench: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, **other: Any) -> set[tuple[str, int]]:
    """Which ways a run measures, and on how many examples; what it then writes is of all of them."""
    monkeypatch.setattr(bench, "configs", lambda: {"it": config(**other)})
    bench.run("it", False, None)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    cells = json.loads((bench.HERE / "results" / "it.json").read_text())["cells"]
    assert {(it["way"], it["shots"], it["tasks"]) for it in cells} == {("none", 10, 2), ("none", 100, 2), ("prompt", 10, 2)}
    return {(line["way"], line["shots"]) for line in lines}


def test_cells_are_kept_as_long_as_their_config_is_the_same(
    bench: ModuleType, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    every = {("none", 10), ("none", 100), ("prompt", 10)}
    assert measured(bench, capsys, monkeypatch) == every
    assert measured(bench, capsys, monkeypatch) == set()
    assert measured(bench, capsys, monkeypatch, about="Other words.") == set()
    assert measured(bench, capsys, monkeypatch, first=1000) == every
    assert measured(bench, capsys, monkeypatch, queries=4) == every
    assert measured(bench, capsys, monkeypatch, recipes={"100": {"steps": 60}}) == {("none", 100)}
    assert measured(bench, capsys, monkeypatch) == set(), "what was measured before is true again"
    drawn = bench.lesson_of

    def otherwise(family: object, config: object, cell: Any) -> object:
        return drawn(family, config, replace(cell, task=cell.task + 7))

    with monkeypatch.context() as changed:
        changed.setattr(bench, "lesson_of", otherwise)
        assert measured(bench, capsys, monkeypatch) == every, "tasks are drawn otherwise today"
        assert measured(bench, capsys, monkeypatch) == set()
    assert measured(bench, capsys, monkeypatch) == set(), "what was measured before is true again"
    kept = home / "runs" / "worth-it" / "cells.jsonl"
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    kept.write_text("".join(json.dumps({k: v for k, v in it.items() if k != "decisive"}) + "\n" for it in lines))
    (bench.HERE / "results" / "it.json").unlink()
    bench.run("it", True, None)
    assert not (bench.HERE / "results" / "it.json").exists(), "of nothing that is believed there is no summary"
    capsys.readouterr()
    assert measured(bench, capsys, monkeypatch) == every


def test_a_start_that_was_trained_again_is_another(bench: ModuleType, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(value: float, way: str = "toys unstepped", **record: Any) -> str:
        weights = {f"layers.0.q_proj.lora_{side}": torch.full(shape, value) for side, shape in (("A", (2, 8)), ("B", (8, 2)))}
        facts = {"kind": KIND, "base": asdict(KEY), "about": "toys", "steps": 5, "rate": 0.002} | record
        Shelf(home / "starts").write("toys", weights, facts, layers=1, replace=True)
        return str(bench.decisive(config(), bench.fingerprints(["toys"]), bench.Cell(way, 10, 0, 0)))

    first = told(1.0)
    assert told(1.0, about="the same toys") == first
    assert len({first, told(2.0), told(1.0, steps=6), told(1.0, rate=0.1)}) == 4
    plain = told(1.0, "toys plain")
    assert told(1.0, "toys plain", steps=6) == plain, "how to step with examples in front decides nothing where none are"
    assert len({first, plain, told(2.0, "toys plain")}) == 3
    assert told(1.0, "auto") != told(2.0, "auto"), "whichever is taken depends on all"
    assert told(1.0, "auto") != told(1.0, "auto", steps=6)
    monkeypatch.setattr(bench, "ALONE", Stride(20, 0.01))
    assert told(1.0, "toys plain") != plain
    assert told(1.0) == first


def test_a_way_that_shows_each_example_alone_steps_as_suits_that(bench: ModuleType, home: Path, tiny: Base) -> None:
    facts = {"kind": KIND, "base": asdict(key_of(tiny)), "about": "toys", "steps": 5, "rate": 0.002}
    net = Grafted(tiny.model, "all-linear", rank=4)
    Shelf(home / "starts").write("toys", net.blank(0), facts, tiny.layers)
    net.remove()
    starts = bench.begin_from(tiny, ["toys"])
    found = {
        name: bench.way(bench.Cell(name, 10, 0, 0), starts, config()) for name in ("toys", "toys unstepped", "toys plain", "none plain")
    }
    assert {name: (it.recipe.steps, it.recipe.rate, it.recipe.prefix, stepped) for name, (it, stepped) in found.items()} == {
        "toys": (5, 0.002, True, True),
        "toys unstepped": (5, 0.002, True, False),
        "toys plain": (ALONE.steps, ALONE.rate, False, True),
        "none plain": (None, None, False, True),
    }
    assert found["none plain"][0].suiting(10).recipe.steps is None, "ten examples are taught as ten are, in whichever form"
    assert not found["none plain"][0].suiting(10).recipe.prefix


def test_auto_chooses_among_all_starts_and_none_by_each_task_s_own_examples(
    bench: ModuleType, home: Path, tiny: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"kind": KIND, "base": asdict(key_of(tiny)), "about": "toys", "steps": 1, "rate": 0.002}
    net = Grafted(tiny.model, "all-linear", rank=4)
    Shelf(home / "starts").write("toys", net.blank(0), facts, tiny.layers)
    net.remove()
    starts, lesson = bench.begin_from(tiny, ["toys"]), Dialects().lesson("test", 0, 4, 2)
    heard: list[Any] = []
    monkeypatch.setattr(bench, "choose", lambda *told: heard.append(told) or SimpleNamespace(beginning=told[2][1]))
    assert bench.chosen(tiny, lesson, 3, starts).name == "toys"
    [(base, examples, ways, _)] = heard
    assert (base, examples) == (tiny, lesson.support)
    assert [(it.name, it.recipe.seed, it.recipe.prefix) for it in ways] == [("none", 3, True), ("toys", 3, True)]
    with pytest.raises(SystemExit, match="without --together"):
        next(bench.together(Dialects(), tiny, config(), [bench.Cell("auto", 4, 0, 0)], starts, 2))


def test_scratch_s_recipe_for_many_examples_is_one_of_those_that_are_tried(bench: ModuleType) -> None:
    first = sys.modules["side_by_side"].GRID[0]
    assert (first.steps, first.rate, first.batch, first.prefix) == (MANY.steps, MANY.rate, MANY.batch, MANY.prefix)


def test_a_file_with_tables_holds_an_experiment_for_each_of_them(bench: ModuleType) -> None:
    (bench.HERE / "one.toml").write_text('family = "labels"\ntasks = 3\n')
    (bench.HERE / "many.toml").write_text("tasks = 3\n[each.labels]\n[each.more]\nfamily = 'strings'\ntasks = 4\n")
    assert bench.configs() == {
        "many-labels": {"family": "labels", "tasks": 3},
        "many-more": {"family": "strings", "tasks": 4},
        "one": {"family": "labels", "tasks": 3},
    }
