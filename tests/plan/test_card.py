"""What an H200 held, cell by cell, against the planner of today: its promise is kept on every cell that is still computed as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headstart.plan.forecast import GPU, Forecast, forecast
from headstart.plan.setting import Setting
from headstart.plan.source import known, model

MEASURED = Path(__file__).parent.parent.parent / "benchmarks" / "planner" / "results" / "planner-card.json"
CELLS: list[dict[str, Any]] = json.loads(MEASURED.read_text())["cells"]
STILL = [it for it in CELLS if "until" not in it]


def told(it: dict[str, Any]) -> Forecast:
    name = next(name for name in known() if name.endswith(it["shape"]))
    setting = Setting(**{**it["setting"], "target": tuple(it["setting"].get("target", Setting.target))})
    return forecast(model(name).shape, setting, it["for"], replace(GPU, process=0, waste=0.0))


def off(it: dict[str, Any]) -> float:
    return told(it).peak / it["peak"] - 1


def test_forecasts_of_a_card_keep_within_what_was_wanted() -> None:
    errors = [off(it) for it in STILL]
    assert len(errors) > 20
    assert sum(map(abs, errors)) / len(errors) < 0.03
    assert -0.05 < min(errors) <= max(errors) < 0.1


@pytest.mark.parametrize("it", [it for it in CELLS if "until" in it], ids=lambda it: str(it["for"]))
def test_in_fp32_on_a_card_less_is_held_than_when_every_head_s_square_was(it: dict[str, Any]) -> None:
    assert told(it).peak < it["peak"]
