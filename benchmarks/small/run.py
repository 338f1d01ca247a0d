"""What does a base in few bits take? Its bytes, the peak of teaching beside it, and seconds a step, against the same base in bf16.

`python benchmarks/small/run.py [CONFIG.toml]`, on the CPU; each cell is a process of its own that fails alone, and what is measured is kept
as soon as it is there.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from apart import apart
from machine import keep


def main() -> None:
    config = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "default.toml"
    asked = tomllib.loads(config.read_text())
    path = HERE / "results" / f"{config.stem}.json"
    cells: list[dict[str, Any]] = []
    for shape in asked["shapes"]:
        for precision in asked["precisions"]:
            print(f"{shape} in {precision} …", flush=True)
            cell = {"shape": shape, "precision": precision, **{key: asked[key] for key in ("steps", "setting")}}
            cells.append({"shape": shape, "precision": precision, **_one(cell)})
            keep(path, {"asked": asked, "cells": cells})
            print(_row(cells[-1]), flush=True)


def _one(cell: dict[str, Any]) -> dict[str, Any]:
    try:
        return apart(HERE / "taught.py", json.dumps(cell), threads=1)
    except SystemExit as why:
        print(why, file=sys.stderr, flush=True)
        return {"error": str(why).splitlines()[-1]}


def _row(it: dict[str, Any]) -> str:
    if "error" in it:
        return f"{it['shape']} {it['precision']}: {it['error']}"
    told = f"{it['shape']} {it['precision']}: base {it['base'] / 1e9:.2f} GB (weights {it['weights'] / 1e9:.2f})"
    for way in ("default", "checkpoint"):
        beside, peak, step, busy = (it[way][key] for key in ("beside", "peak", "seconds_a_step", "processor_seconds_in_all"))
        told += f"; {way}: {beside / 1e9:.2f} GB beside it, {peak / 1e9:.2f} GB in all, {step:.2f} s a step, {busy:.1f} s of processor"
    return told


if __name__ == "__main__":
    main()
