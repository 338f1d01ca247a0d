"""Cells that were measured on a card, against a planner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from headstart.plan.forecast import GPU, Forecast, forecast
from headstart.plan.setting import Setting
from headstart.plan.shape import Shape
from headstart.plan.source import known, model

BARE = replace(GPU, process=0, waste=0.0, source="nothing beside the tensors")


def setting_of(cell: dict[str, Any]) -> Setting:
    """As TOML and JSON have it, which know no tuples."""
    said = cell["setting"]
    return Setting(**{**said, "target": tuple(said.get("target", Setting.target))})


def shape_named(end: str) -> Shape:
    """A shape that the planner ships, by the end of its name."""
    return model(next(it for it in known() if it.endswith(end))).shape


def told(cell: dict[str, Any]) -> Forecast:
    """What the planner of today says of a cell of a shape that it ships."""
    return forecast(shape_named(cell["shape"]), setting_of(cell), cell["for"], BARE)


def now(cell: dict[str, Any]) -> dict[str, float | None]:
    """How far that is from what was measured: of all tensors, and of those beside the base.

    A cell whose work is computed otherwise by now carries `until`, which says what has changed: only the forecast of its time can judge it.
    """
    if "until" in cell:
        return {"off_now": None, "off_beside_now": None}
    found = told(cell)
    base = found.pieces["base"]
    return {"off_now": found.peak / cell["peak"] - 1, "off_beside_now": (found.peak - base) / (cell["peak"] - base) - 1}


def summary(errors: Iterable[float | None]) -> dict[str, Any]:
    """Mean, worst, and how many are small."""
    known_errors = [it for it in errors if it is not None]
    if not known_errors:
        return {"cells": 0}
    return {
        "cells": len(known_errors),
        "mean": sum(map(abs, known_errors)) / len(known_errors),
        "worst_over": max(known_errors),
        "worst_under": min(known_errors),
        "within_10_percent": sum(abs(it) <= 0.1 for it in known_errors) / len(known_errors),
    }
