"""How fast does it serve on a card? Requests over many adapters at once, by our engine and by PEFT, on bases of random weights.

python benchmarks/serving/card.py [--device cuda] [--out FOLDER] [--seconds N] [--only BASE]. Every way is warmed up by one load of its own.
A single answer's time a token stands beside what reading the weights once would take at the memory's full speed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from drawn import drawn, shipped
from heights import Cells, Facts, arguments, give_back, height, held
from machine import spread
from ways import fill_shelf, ours, text, theirs, up

from headstart.adapters.store import Shelf
from headstart.lm.load import Base, hush

BASES = ("SmolLM2-135M", "Llama-2-7b-hf", "Llama-3.2-1B")
LOAD = {"requests": 16, "adapters": 8, "prompt": 64, "new": 32}
TURNS = 3
BANDWIDTH = {"H100": 3.35e12, "H200": 4.8e12}
"""Bytes a second of a card's memory, as its maker says."""


@dataclass
class Served:
    """A base with a shelf of adapters, and the load that every way gets."""

    base: Base
    shelf: Shelf
    every: list[str]
    peft: Any = None
    """PEFT around the base, once it is asked for; no engine of ours may be up then."""

    @property
    def names(self) -> list[str]:
        return [self.every[i % len(self.every)] for i in range(LOAD["requests"])]

    def prompts(self, turn: int, count: int) -> list[str]:
        return [text(self.base, LOAD["prompt"], 100 * turn + i) for i in range(count)]


def by_ours(it: Served, names: list[str | None]) -> Facts:
    """Tokens a second of a load, prompts read in that time and not counted."""
    with up(it.base, it.shelf, fast=False) as engine:

        def serve(turn: int) -> float:
            return ours(it.base, engine, names, it.prompts(turn, len(names)), LOAD)()

        serve(0)
        speeds, facts = height(lambda: [serve(turn) for turn in range(1, TURNS + 1)], it.base.model.device)
        return facts | {"tokens_a_second": spread(speeds), "passes": engine.figures()["passes"]}


def single(it: Served) -> Facts:
    """One answer alone: what a further token takes, the reading of the prompt taken off, and the least that it could."""
    few, many = 16, 80
    with up(it.base, it.shelf, fast=False) as engine:

        def seconds(new: int, turn: int) -> float:
            return new / ours(it.base, engine, [it.every[0]], it.prompts(turn, 1), LOAD | {"new": new})()

        seconds(few, 0)
        each = [(seconds(many, turn) - seconds(few, turn)) / (many - few) for turn in range(1, TURNS + 1)]
    return {"milliseconds_a_token": spread([1000 * e for e in each])} | _least(it.base)


def _least(base: Base) -> Facts:
    name = torch.cuda.get_device_name() if base.model.device.type == "cuda" else ""
    known = next((speed for card, speed in BANDWIDTH.items() if card in name), None)
    return {"weights": base.bytes, "milliseconds_at_full_bandwidth": known and 1000 * base.bytes / known}


def kernels(it: Served) -> Facts:
    """How many kernels a token takes, and how long the card is at work in them: the rest of the time it waits for the processor."""
    from torch.profiler import ProfilerActivity, profile

    new = 16
    with up(it.base, it.shelf, fast=False) as engine:
        serve = ours(it.base, engine, [it.every[0]], it.prompts(0, 1), LOAD | {"new": new})
        serve()
        where = ProfilerActivity.CUDA if it.base.model.device.type == "cuda" else ProfilerActivity.CPU
        with profile(activities=[where]) as trace:
            since = time.perf_counter()
            serve()
            seconds = time.perf_counter() - since
    rows = sorted((row.self_device_time_total, row.count, row.key) for row in trace.key_averages() if row.self_device_time_total > 0)
    most = [f"{1e-3 * at_work / new:.3f} ms, {count / new:.1f} calls a token: {key[:90]}" for at_work, count, key in rows[:-16:-1]]
    return {
        "kernels_a_token": sum(count for _, count, _ in rows) / new,
        "milliseconds_at_work_a_token": 1e-3 * sum(at_work for at_work, _, _ in rows) / new,
        "milliseconds_a_token": 1000 * seconds / new,
        "most": most,
    }


def by_peft(it: Served, one_by_one: bool, count: int) -> Facts:
    """As it is documented."""
    if it.peft is None:
        from peft import PeftModel

        it.peft = PeftModel.from_pretrained(it.base.model, str(it.shelf.path(it.every[0])), adapter_name=it.every[0])
        for name in it.every[1:]:
            it.peft.load_adapter(str(it.shelf.path(name)), adapter_name=name)
    it.peft.eval()
    names = it.names[:count]

    def serve(turn: int) -> float:
        return theirs(it.peft, it.base, names, it.prompts(turn, count), LOAD, one_by_one)()

    serve(0)
    speeds, facts = height(lambda: [serve(turn) for turn in range(1, TURNS + 1)], it.base.model.device)
    return facts | {"tokens_a_second": spread(speeds), "requests": count}


@contextmanager
def without_cudnn() -> Iterator[None]:
    """cuDNN's attention is planned anew for every new length."""
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


def plain(it: Served) -> Facts:
    with without_cudnn():
        return by_ours(it, list(it.names))


Ways = dict[str, Callable[[Served], Facts]]
FIRST: Ways = {
    "headstart, mixed": lambda it: by_ours(it, list(it.names)),
    "PEFT, adapter_names": lambda it: by_peft(it, False, LOAD["requests"]),
    # One after the other, so that fewer of them tell as much.
    "PEFT, set_adapter one by one": lambda it: by_peft(it, True, 2),
}
"""Beside each other. PEFT's last: its layers stay in the base."""
THEN: Ways = {
    "headstart, one answer": single,
    "headstart, mixed, without cuDNN's attention": plain,
    "headstart, one adapter": lambda it: by_ours(it, [it.every[0]] * LOAD["requests"]),
    "headstart, the base alone": lambda it: by_ours(it, [None] * LOAD["requests"]),
    # Last: what was profiled once may be slower ever after.
    "headstart, one answer's kernels": kernels,
}


def measured(name: str, ways: Ways, cells: Cells, device: torch.device, folder: Path) -> None:
    before = held(device)
    base = drawn(shipped(name), "bf16", device)
    # An end of text would make a load shorter for some.
    base.chat.__class__.stops = property(lambda _: (-1,))  # type: ignore[assignment]
    cells.note(**{name: {"held": held(device) - before}})
    shelf = Shelf(folder)
    it = Served(base, shelf, fill_shelf(base, shelf, LOAD["adapters"]))
    for way, work in ways.items():
        found = cells.add({"base": name, "way": way}, partial(work, it))
        told = found.get("tokens_a_second") or found.get("milliseconds_a_token")
        mean = told["mean"] if isinstance(told, dict) else told
        print(name, way, f"{mean:.2f}" if mean else found.get("error", ""), flush=True)


def main() -> None:
    asked = arguments("How fast does it serve on a card?", 60)
    hush()
    cells = Cells((asked.out or HERE / "results") / "serving-card.json", asked.device, asked.seconds)
    cells.note(load=LOAD, turns=TURNS)
    for ways in (FIRST, THEN):
        for name in [asked.only] if asked.only else BASES:
            if cells.left > 0:
                with tempfile.TemporaryDirectory() as folder:
                    measured(name, ways, cells, asked.device, Path(folder))
                give_back(asked.device)


if __name__ == "__main__":
    main()
