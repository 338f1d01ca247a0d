"""The table of tasks a second: on a GPU the lockstep stands there with and without its recording."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def result(gpu: str | None, **speeds: list[float]) -> dict[str, Any]:
    ways = {
        way.replace("_", " "): {"tasks_a_second": {"mean": sum(each) / 2, "interval": [min(each), max(each)], "values": each}}
        for way, each in speeds.items()
    }
    ways = {{"not recorded": "lockstep, not recorded", "loop": "functional_call"}.get(way, way): told for way, told in ways.items()}
    machine = {"gpu": gpu, "processor": "EPYC", "cores": 2, "date": "2026-01-02", "versions": {"torch": "2.11"}}
    return {"config": {"order": 1}, "machine": machine, "ways": ways}


def test_a_recording_is_told_from_the_lockstep_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    reproduced = importlib.import_module("reproduced")
    monkeypatch.setattr(reproduced, "HERE", tmp_path)
    assert reproduced.lockstep() == [], "nothing was measured"
    results = tmp_path / "lockstep" / "results"
    results.mkdir(parents=True)
    card = result("H200", lockstep=[80.0, 90.0], not_recorded=[12.0, 18.0], loop=[4.0, 6.0])
    (results / "omniglot-first-order-card.json").write_text(json.dumps(card))
    (results / "sine-first-order.json").write_text(json.dumps(result(None, lockstep=[30.0, 30.0], loop=[3.0, 2.0], higher=[1.0, 1.0])))
    *_, recorded, plain, sine, _, measured, _ = reproduced.lockstep()
    assert "| H200, recorded | 85 (" in recorded
    assert "| 17.5 (" in recorded, "turn by turn: 20 and 15 times"
    assert "| H200 | 15 (" in plain
    assert "| 3.0 (3.0 to 3.0) |  |" in plain, "no `higher` there"
    assert "| EPYC, 2 cores | 30 (" in sine
    assert sine.endswith("| 30.0 (30.0 to 30.0) |")
    assert measured == "Measured on H200: 2026-01-02, torch 2.11; EPYC, 2 cores: 2026-01-02, torch 2.11."


def test_a_run_is_told_by_the_step_whose_weights_are_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    reproduced = importlib.import_module("reproduced")
    one, ten = ({"metric": "mse", "mean": mean, "low": 2 * mean - high, "high": high} for mean, high in ((0.5, 0.75), (2e25, 7e25)))
    found = {"best_step": 45_000, "steps": 70_000, "score": ten, "scores": {"1 steps": one, "10 steps": ten}}
    assert reproduced._steps({"result": found, "config": {"outer": {"batch": 25}}}) == "45,000 of 70,000, 25 tasks each, by 10 steps"
    assert [reproduced._score(score) for score in (one, ten)] == ["0.500 (0.250 to 0.750)", "2e+25 (0 to 7e+25)"]
