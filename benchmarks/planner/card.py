"""Does the planner tell the truth of a card? Its forecast against what tensors, allocator and driver held there.

python benchmarks/planner/card.py [--device cuda] [--out FOLDER] [--seconds N] [--only SHAPE]. All cells in one process: on a card the
height of what tensors hold is counted anew for each. `off` is how far the forecast is from all tensors, `off_beside` from those beside the
base, and `off_of_the_card` the whole forecast's distance from all that the driver had given away.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from cell import WAYS, worked
from drawn import drawn, shipped
from heights import Cells, Facts, arguments, give_back, height
from judge import BARE, setting_of, summary

from headstart.lm.load import Base, hush
from headstart.plan.forecast import GPU, forecast
from headstart.plan.setting import Setting
from headstart.plan.shape import Shape, shape_of

KEYS = ("off", "off_beside", "off_of_the_card")


@dataclass
class Bases:
    """The base that was made last, and no other."""

    device: torch.device
    name: str = ""
    base: Base | None = None

    def of(self, shape: str, precision: str) -> Base:
        """Of a shape and a precision, with random weights."""
        name = f"{shape} {precision}"
        if name != self.name or self.base is None:
            self.base = None
            give_back(self.device)
            self.name, self.base = name, drawn(shipped(shape), precision, self.device)
        return self.base


def measured(base: Base, purpose: str, setting: Setting, device: torch.device) -> Facts:
    """By the very functions that the cells of a CPU go through."""
    facts: Facts = {}
    more = setting.queries if purpose == "meta-train" else 0
    examples = [worked(base.chat, setting.length, setting.answer, i) for i in range(setting.examples + more)]
    one = base.chat.lay(examples[0])

    def phase(work: Callable[[], Any]) -> tuple[Any, int]:
        done, found = height(work, device)
        facts.update(found)
        return done, found["peak"]

    WAYS[purpose](base, setting, examples, phase)
    return facts | {"length": len(one), "answer": len(one.completion)}


def judged(shape: Shape, purpose: Any, setting: Setting, facts: Facts) -> Facts:
    """What is forecast, piece by piece, and how far it is from what was measured."""
    told, whole = forecast(shape, setting, purpose, BARE), forecast(shape, setting, purpose, GPU)
    base = told.pieces["base"]
    return facts | {
        "forecast": told.peak,
        "moment": told.moment,
        "pieces": dict(told.pieces),
        "forecast_of_the_card": whole.peak,
        "off": told.peak / facts["peak"] - 1,
        "off_beside": (told.peak - base) / max(1, facts["peak"] - base) - 1,
        "off_of_the_card": whole.peak / facts["card"] - 1 if facts.get("card") else None,
    }


def one(bases: Bases, name: str, purpose: str, setting: Setting) -> Facts:
    facts = measured(bases.of(name, setting.precision), purpose, setting, bases.device)
    return judged(shape_of(shipped(name), name), purpose, setting, facts)


def main() -> None:
    asked = arguments("Does the planner tell the truth of a card?", 60)
    hush()
    cells = Cells((asked.out or HERE / "results") / "planner-card.json", asked.device, asked.seconds)
    bases = Bases(asked.device)
    for it in tomllib.loads((HERE / "card.toml").read_text())["cells"]:
        found = cells.add(it, partial(one, bases, asked.only or it["shape"], it["for"], setting_of(it)))
        said = [f"{found[key]:+7.1%}" for key in KEYS if found.get(key) is not None]
        print(*said, it["shape"], it["for"], it["setting"], found.get("error", ""), flush=True)
    print({key: summary(it.get(key) for it in cells.cells) for key in KEYS})


if __name__ == "__main__":
    main()
