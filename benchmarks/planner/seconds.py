"""Does the planner tell the truth of time? Seconds foretold of teaching the embedded base, beside those that it took, setting by setting.

python benchmarks/planner/seconds.py [--turns 3] [--steps 2] [--out FILE]. Before each setting the machine is probed anew in both ways that
forecasts are made of, as other programs slow it now more, now less. What counts is processor time, of one thread: the probe's speeds are
divided by the share of a processor that it got. A turn that warms up is not counted. What is kept is the speeds and the seconds;
`table.py` asks the planner of the day.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from cell import worked
from machine import keep

from headstart.episode import Example
from headstart.lm.load import Base, hush, load
from headstart.plan.clock import Speed
from headstart.plan.probe import probe
from headstart.plan.setting import Setting
from headstart.teach.lesson import teach
from headstart.teach.pace import measure
from headstart.teach.recipe import Recipe
from headstart.teach.room import precision_of, setting_of
from headstart.terms import ALL_LINEAR

T = TypeVar("T")
Q_V, UPPER = {"target": ("q_proj", "v_proj")}, {"target": (ALL_LINEAR,), "lowest": 20}
SETTINGS: list[dict[str, Any]] = [
    {"examples": count, "length": length, "answer": length // 2, "folds": 0, "prefix": chained, **sites}
    for sites in (Q_V, UPPER)
    for chained in (False, True)
    for count, length in ((5, 64), (10, 96))
]


def timed(work: Callable[[], T]) -> tuple[T, float, float]:
    """What it gives, seconds of the clock, and of the processor."""
    since, worked_since = time.perf_counter(), time.process_time()
    done = work()
    return done, time.perf_counter() - since, time.process_time() - worked_since


def pure(work: Callable[[], Speed]) -> dict[str, Any]:
    """A reading of this machine's speed, a second of processor time."""
    speed, clock, processor = timed(work)
    share = processor / clock
    return {**asdict(speed), "arithmetic": speed.arithmetic / share, "bandwidth": speed.bandwidth / share, "share": share}


def taught(base: Base, setting: Setting, examples: list[Example], steps: int) -> dict[str, Any]:
    """By the function that the command calls; without the report."""
    recipe = Recipe(
        steps=steps,
        target=setting.target,
        layers=tuple(range(setting.lowest, base.model.config.num_hidden_layers)),
        folds=0,
        prefix=setting.prefix,
    )
    _, clock, processor = timed(lambda: teach(base, examples, recipe))
    return {"seconds": clock, "processor_seconds": processor}


def turn(base: Base, steps: int) -> list[dict[str, Any]]:
    """All settings once, each right behind a probe."""
    found = []
    for it in SETTINGS:
        setting = Setting(precision=precision_of(base), **it)
        examples = [worked(base.chat, setting.length, setting.answer, i) for i in range(setting.examples)]
        speeds = {"probe": pure(lambda: probe(base.model.dtype)), "base": pure(lambda: measure(base))}
        head = setting_of(base, examples, Recipe(prefix=setting.prefix)).head
        found.append({"setting": it, "head": head, "steps": steps, "speeds": speeds, **taught(base, setting, examples, steps)})
        print(it, {k: v for k, v in found[-1].items() if "seconds" in k}, speeds["probe"]["arithmetic"] / 1e9, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Does the planner tell the truth of time?")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "seconds.json")
    asked = parser.parse_args()
    hush()
    torch.set_num_threads(1)
    base = load(device=torch.device("cpu"))
    taught(base, Setting(precision_of(base)), [worked(base.chat, 32, 8, i) for i in range(2)], 1)
    turns: list[list[dict[str, Any]]] = []
    for _ in range(asked.turns):
        turns.append(turn(base, asked.steps))
        keep(asked.out, {"precision": precision_of(base), "turns": turns})


if __name__ == "__main__":
    main()
