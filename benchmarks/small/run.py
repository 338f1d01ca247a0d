"""What does a base in few bits take? Its bytes, the peak of teaching beside it, and seconds a step, against the same base in bf16.

`python benchmarks/small/run.py [CONFIG.toml]`, on the CPU; each cell is a process of its own that fails alone, and what is measured is kept
as soon as it is there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from machine import machine


def main() -> None:
    config = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "default.toml"
    asked = tomllib.loads(config.read_text())
    path = HERE / "results" / f"{config.stem}.json"
    path.parent.mkdir(exist_ok=True)
    cells: list[dict[str, Any]] = []
    for shape in asked["shapes"]:
        for precision in asked["precisions"]:
            print(f"{shape} in {precision} …", flush=True)
            cell = {"shape": shape, "precision": precision, **{key: asked[key] for key in ("steps", "setting")}}
            cells.append({"shape": shape, "precision": precision, **_one(cell)})
            path.write_text(json.dumps({"machine": machine(), "asked": asked, "cells": cells}, indent=1) + "\n")
            print(_row(cells[-1]), flush=True)


def _one(cell: dict[str, Any]) -> dict[str, Any]:
    # As many threads as there are cores would measure other programs' work too.
    few = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, HERE / "taught.py", json.dumps(cell)], capture_output=True, text=True, check=False, env=few)
    if done.returncode:
        print(done.stderr, file=sys.stderr, flush=True)
        # A process that the system ended says nothing itself.
        return {"error": (done.stderr.splitlines() or [""])[-1] or f"it ended with {done.returncode}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


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
