"""What do fewer bits do to answers? The same dialects taught in each precision: unseen questions right to the letter, and their loss.

Adapters that were taught in 4 bits are asked on the whole base too. `python benchmarks/small/quality.py` measures it again.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from machine import keep, spread

from headstart.bank import Weights, fill
from headstart.episode import right
from headstart.lm.load import Base, hush, load
from headstart.lm.quantised import PRECISIONS
from headstart.tasks.dialects import draw_task
from headstart.teach.asking import answer
from headstart.teach.lesson import teach
from headstart.teach.recipe import Recipe, graft
from headstart.train.evaluate import mean

SEEDS, SHOWN, ASKED = (1000, 1001, 1002), 10, 16
RECIPE = Recipe(folds=0)
WAYS = ("bf16", "8bit", "4bit")


def main() -> None:
    hush()
    torch.set_num_threads(1)
    told: dict[str, list[dict[str, float]]] = {}
    kept: dict[int, Weights] = {}
    for precision in reversed(WAYS):
        dtype, bits = PRECISIONS[precision]
        base = load(None, dtype, bits=bits)
        for seed in SEEDS:
            shown, asked = draw_task(seed, SHOWN, ASKED)
            weights = teach(base, shown, RECIPE).weights
            told.setdefault(precision, []).append(scored(base, weights, shown, asked))
            if precision == "4bit":
                kept[seed] = weights
            if precision == "bf16":
                told.setdefault("4bit, asked in bf16", []).append(scored(base, kept[seed], shown, asked))
            print(precision, seed, told[precision][-1], flush=True)
    ways = {way: {key: spread([it[key] for it in each]) for key in each[0]} for way, each in told.items()}
    result = {"seeds": SEEDS, "shown": SHOWN, "asked": ASKED, "ways": ways}
    keep(HERE / "results" / "quality.json", result)
    for way, it in ways.items():
        print(way, f"right {it['right']['mean']:.2f}, loss {it['loss']['mean']:.3f}")


def scored(base: Base, weights: Weights, shown: Any, asked: Any) -> dict[str, float]:
    """Behind the examples, as the adapter would be used."""
    net = graft(base, RECIPE)
    try:
        found = answer(net, base.chat, fill(weights, 1), 1, shown, asked)
    finally:
        net.remove()
    return {"right": right(asked, found.texts), "loss": mean(found.losses)}


if __name__ == "__main__":
    main()
