"""Does the planner tell the truth? Its forecast against the height of resident memory, over a grid of settings.

Two of the engine's constants (bytes of the process, and of compiled products) are set by the even cells of the lean heap; what is reported
is the error on the odd ones, which nothing was fitted on. `python benchmarks/planner/measure.py HEAP` goes on where measuring was stopped.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from judge import setting_of, summary
from machine import keep
from measure import HEAPS, measure

from headstart.plan.forecast import CPU, UNCOMPILED, Engine, forecast
from headstart.plan.setting import Setting
from headstart.plan.shape import Shape, shape_of
from headstart.plan.source import model

TENSORS = Engine(0, 0.0, 0, 0, 0, 0, "nothing beside the tensors")


def rows(measured: dict[str, Any]) -> list[dict[str, Any]]:
    """Every cell that was measured, with what is forecast of it."""
    found = []
    for number, cell in enumerate(measured["grid"]["cells"]):
        facts = measured["cells"].get(json.dumps(cell, sort_keys=True))
        if facts is None:
            continue
        config = measured["grid"]["shapes"].get(cell["shape"])
        shape = model(None).shape if config is None else shape_of(config, cell["shape"])
        setting, native = replace(setting_of(cell), head=facts["head"]), measured["machines"][facts["machine"]]["bf16_instructions"]
        # Shapes with random weights have a tokenizer of a few hundred bytes' entries.
        engine = CPU if native else UNCOMPILED
        told = forecast(shape, setting, cell["for"], engine if config is None else replace(engine, token=0))
        peak = facts[cell["for"]]
        found.append(
            {
                "number": number,
                "held_out": bool(number % 2),
                "shape": cell["shape"],
                "for": cell["for"],
                "setting": cell["setting"],
                "measured": peak,
                "forecast": told.peak,
                "error": told.peak / peak - 1,
                "moment": told.moment,
                "tensors_measured": peak - facts["process"],
                "tensors_forecast": tensors(shape, setting, cell["for"]),
                "pieces": dict(told.pieces),
                "parameters_are": facts["parameters"] == shape.parameters,
                "bf16_instructions": native,
            }
        )
    return found


def tensors(shape: Shape, setting: Setting, purpose: Any) -> int:
    """What is forecast of the base and the tensors beside it, the engine not counted."""
    return forecast(shape, setting, purpose, TENSORS).peak


def fitted(cells: list[dict[str, Any]]) -> dict[str, float]:
    """The engine's constants with the least relative squares over cells; what the tokenizer takes was measured by itself."""
    left, right = [], []
    for it in cells:
        pieces, peak = it["pieces"], it["measured"]
        known = sum(size for name, size in pieces.items() if name not in _ENGINE)
        left.append([1 / peak, ("compiled products" in pieces) / peak])
        right.append([1 - (known + pieces.get("tokenizer", 0) + pieces.get("bitsandbytes", 0)) / peak])
    solved = torch.linalg.lstsq(torch.tensor(left).double(), torch.tensor(right).double()).solution[:, 0]
    return {"process": round(float(solved[0])), "code": round(float(solved[1]))}


_ENGINE = ("process", "held by the allocator", "tokenizer", "compiled products", "bitsandbytes")


def off(cells: Iterable[dict[str, Any]]) -> list[float]:
    return [it["error"] for it in cells]


def judged(heap: str, more: bool) -> dict[str, Any]:
    """All cells under one heap, and what they come to."""
    measured = measure(heap, more)
    cells = rows(measured)
    held = [it for it in cells if it["held_out"]]
    return {
        "fit_on_even_cells": fitted([it for it in cells if not it["held_out"]]),
        "held_out": summary(off(held)),
        "even": summary(off(it for it in cells if not it["held_out"])),
        "by_purpose": {name: summary(off(it for it in held if it["for"] == name)) for name in sorted({it["for"] for it in held})},
        "on_two_machines": twice(measured),
        "machines": measured["machines"],
        "cells": cells,
    }


def twice(measured: dict[str, Any]) -> list[dict[str, Any]]:
    """Cells that were measured on another machine too, and by how much that differs."""
    found = []
    for cell in measured["grid"]["cells"]:
        name = json.dumps(cell, sort_keys=True)
        if name in measured.get("again", {}):
            first, second = measured["cells"][name][cell["for"]], measured["again"][name][cell["for"]]
            found.append({**cell, "measured": first, "again": second, "differs": second / first - 1})
    return found


def main() -> None:
    result = {
        "engine": {"process": CPU.process, "waste": CPU.waste, "token": CPU.token, "code": CPU.code, "packer": CPU.packer},
        "gpu": None,
        "grid": len(tomllib.loads((HERE / "grid.toml").read_text())["cells"]),
        "heaps": {heap: judged(heap, more="--no-more" not in sys.argv) for heap in HEAPS},
    }
    keep(HERE / "results" / "default.json", result)
    for heap, told in result["heaps"].items():
        for it in told["cells"]:
            kind = "held" if it["held_out"] else "even"
            print(f"{heap} {it['number']:3} {kind} {it['error']:+6.1%} {it['shape']:14} {it['for']:10} {it['setting']}")
        print({key: told[key] for key in told if key != "cells"})


if __name__ == "__main__":
    main()
