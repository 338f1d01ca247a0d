"""Every cell of the grid in a process of its own, one after the other: what was measured, and nothing of what was forecast.

Each cell says on which of the file's machines: products in half precision hold more on a processor with instructions for them.
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
from machine import machine

HEAPS = ("lean", "ample")
"""lean: freed memory goes back at once, see `headstart.heap`. ample: the C library's own way."""


def measure(heap: str, more: bool = True) -> dict[str, Any]:
    """Run what has not been run, unless no more is wanted, and keep each cell as soon as it is there."""
    grid, path = tomllib.loads((HERE / "grid.toml").read_text()), HERE / "results" / f"measured-{heap}.json"
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"machines": [], "cells": {}}
    known = kept["cells"]
    path.parent.mkdir(exist_ok=True)
    for cell in grid["cells"] if more else []:
        name = json.dumps(cell, sort_keys=True)
        if name not in known:
            asked = {**cell, "heap": heap, "config": grid["shapes"].get(cell["shape"])}
            known[name] = {**apart(HERE / "cell.py", json.dumps(asked), threads=1), "machine": _place(kept["machines"])}
            path.write_text(json.dumps(kept, indent=1) + "\n")
            print(cell, known[name], flush=True)
    return {"grid": grid, **kept}


def _place(machines: list[dict[str, Any]]) -> int:
    """Where this machine stands among those known; put there if it is new."""
    mine = machine()
    for number, it in enumerate(machines):
        if all(it[key] == mine[key] for key in ("processor", "bf16_instructions", "versions")):
            return number
    machines.append(mine)
    return len(machines) - 1


if __name__ == "__main__":
    for heap in sys.argv[1:] or HEAPS:
        measure(heap)
