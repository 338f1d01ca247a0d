"""Every way on every task, one after the other in turns, each in a process of its own; ratios within a turn."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from apart import apart
from machine import keep, spread


def one(way: str, config: Path, task: int) -> dict[str, Any]:
    facts = apart(HERE / "way.py", way, str(config), str(task))
    print(
        f"{way:32} task {task}: {facts['seconds']:6.1f} s, peak {facts['peak_bytes'] / 1e6:.0f} MB, unseen {facts['unseen_right']:.2f}",
        flush=True,
    )
    return facts


def run(config_path: Path) -> None:
    config = tomllib.loads(config_path.read_text())
    runs = [[one(way, config_path, task) for way in config["ways"]] for task in config["tasks"]]
    by_way = {way: [turn[i] for turn in runs] for i, way in enumerate(config["ways"])}
    mine = by_way["ours"]
    ways = {
        way: {
            "seconds": spread([r["seconds"] for r in rows]),
            "times_ours": spread([r["seconds"] / m["seconds"] for r, m in zip(rows, mine, strict=True)]),
            "peak_bytes": spread([r["peak_bytes"] for r in rows]),
            "peak_over_ours": spread([r["peak_bytes"] / m["peak_bytes"] for r, m in zip(rows, mine, strict=True)]),
            "unseen_right": spread([r["unseen_right"] for r in rows]),
            "dtype": rows[0]["dtype"],
            "steps": rows[0]["steps"],
        }
        for way, rows in by_way.items()
    }
    result = {"config": config, "tokens": spread([r["tokens"] for r in mine]), "ways": ways}
    out = HERE / "results" / f"{config_path.stem}.json"
    keep(out, result)
    print(f"written: {out}")


if __name__ == "__main__":
    for path in sorted(HERE.glob("*.toml")):
        run(path)
