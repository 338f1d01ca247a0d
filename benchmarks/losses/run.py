"""Losses from a few logits at a time against all at once: seconds and the peak of resident memory of one step, turn about in one process.

`python benchmarks/losses/run.py`: the embedded base, its upper third bent, two conversations of 512 tokens, 502 of each to be predicted.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "planner")]

from cell import phase
from machine import keep, spread

from headstart.bank import Bank, fill
from headstart.heap import lean
from headstart.lm.batch import Batch, Encoded
from headstart.lm.graft import Grafted
from headstart.lm.load import hush, load
from headstart.loss import token_losses
from headstart.terms import LOGITS

TURNS, ROWS, LENGTH, ASKED = 7, 2, 512, 10


def main() -> None:
    lean()
    hush()
    torch.set_num_threads(1)
    base, rng = load(), torch.Generator().manual_seed(0)
    net = Grafted(base.model, "all-linear", range(20, 30))
    tokens = torch.randint(0, 40_000, (ROWS, LENGTH), generator=rng).tolist()
    batch = Batch.of([Encoded(tuple(row[:ASKED]), tuple(row[ASKED:])) for row in tokens])
    begun = {name: w + 0.01 * torch.randn(w.shape, generator=rng) for name, w in net.blank(0).items()}
    bank, slots = {name: w.requires_grad_() for name, w in fill(begun, 1).items()}, torch.ones(ROWS, dtype=torch.int64)
    ways = {
        "all": lambda: token_losses(net(bank, slots, batch), batch.labels),
        "few": lambda: net.losses(bank, slots, batch),
    }
    slopes = {name: step(way, bank) for name, way in ways.items()}
    told: dict[str, Any] = {name: {"seconds": [], "peak": []} for name in ways}
    for _ in range(TURNS):
        for name, way in ways.items():
            since = time.perf_counter()
            _, peak = phase(lambda way=way: step(way, bank))
            told[name]["seconds"].append(time.perf_counter() - since)
            told[name]["peak"].append(float(peak))
    result = {
        "targets": len(batch.labels),
        "vocabulary": base.model.config.vocab_size,
        "at_once": LOGITS // base.model.config.vocab_size,
        "ways": {name: {key: spread(values) for key, values in it.items()} for name, it in told.items()},
        "seconds_ratio": spread([few / all_ for few, all_ in zip(told["few"]["seconds"], told["all"]["seconds"], strict=True)]),
        "gradients_apart": max(float((a - b).norm() / b.norm()) for a, b in zip(slopes["few"], slopes["all"], strict=True) if b.any()),
    }
    keep(HERE / "results" / "default.json", result)
    for name, it in result["ways"].items():
        print(f"{name}: {it['seconds']['mean']:.2f} s, peak {it['peak']['mean'] / 1e6:.0f} MB")
    print(f"few / all: {result['seconds_ratio']['mean']:.3f} {result['seconds_ratio']['interval']}, apart {result['gradients_apart']:.1e}")


def step(way: Any, bank: Bank) -> list[Tensor]:
    """Every tensor's gradient of the sum."""
    return list(torch.autograd.grad(way().sum(), list(bank.values())))


if __name__ == "__main__":
    main()
