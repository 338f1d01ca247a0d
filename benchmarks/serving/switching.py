"""What does an adapter cost that is not at work? Switching, loading from disk, and a shelf of a thousand of which a hundred are asked for.

python benchmarks/serving/switching.py. One request at a time for the first two; for the third, requests at once, their adapters drawn by
Zipf's law, with room in the bank for all that are asked for or for a few. Written to results/switching.json.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from machine import keep, spread
from ways import drained, fill_shelf, text, up

from headstart.adapters.store import Shelf
from headstart.lm.generate import Sampling
from headstart.lm.load import Base, hush, load
from headstart.serve.apart import apart
from headstart.serve.engine import Running
from headstart.serve.request import Ask

PROMPT, TIMES = 16, 40
USED, ALL, AT_ONCE, LOAD, NEW, FEW = 100, 1000, 16, 320, 16, 32
"""Adapters asked for and on the shelf; requests at once and in all; tokens of an answer;
adapters that the smaller bank holds beside slot 0."""


def answered(engine: Running, name: str, prompt: str, new: int) -> float:
    """Seconds of one request."""
    since = time.perf_counter()
    _, ended = drained(engine.submit(Ask(name, prompt, Sampling(max_tokens=new))))
    assert ended.reason == "length", ended
    return time.perf_counter() - since


def switching(engine: Running, base: Base, names: Sequence[str]) -> dict[str, list[float]]:
    """Milliseconds of requests of one token: of the adapter that was asked last, of another in the bank, of one on the shelf."""
    said: dict[str, list[float]] = {"the same adapter again": [], "another that is resident": [], "one from disk": []}
    cold = list(names[2:])
    for name in [*names[:2], *names[:2]]:
        answered(engine, name, text(base, PROMPT, 0), 1)
    for turn in range(TIMES):
        one, other = names[turn % 2], names[1 - turn % 2]
        answered(engine, one, text(base, PROMPT, 4 * turn), 1)
        said["the same adapter again"].append(1e3 * answered(engine, one, text(base, PROMPT, 4 * turn + 1), 1))
        said["another that is resident"].append(1e3 * answered(engine, other, text(base, PROMPT, 4 * turn + 2), 1))
        if cold:
            said["one from disk"].append(1e3 * answered(engine, cold.pop(), text(base, PROMPT, 4 * turn + 3), 1))
    return said


def zipf(engine: Running, base: Base, names: Sequence[str], seed: int) -> float:
    """Tokens a second of a load by Zipf's law."""
    rng = random.Random(seed)
    asked = rng.choices(names, [1 / (rank + 1) for rank in range(len(names))], k=LOAD)
    prompts = [text(base, 2 * PROMPT, seed + i) for i in range(LOAD)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        since = time.perf_counter()
        list(pool.map(lambda pair: answered(engine, *pair, NEW), zip(asked, prompts, strict=True)))
        return LOAD * NEW / (time.perf_counter() - since)


def run() -> None:
    hush()
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        base, shelf = apart(lambda: load(None)), Shelf(Path(folder))
        names = apart(lambda: fill_shelf(base, shelf, USED))
        base.chat.__class__.stops = property(lambda _: (-1,))  # type: ignore[assignment]
        with up(base, shelf, budget=1 << 30, queue=LOAD, fast=True) as engine:
            said = switching(engine, base, names)
        told["milliseconds"] = {way: spread(values) for way, values in said.items()}
        for i in range(USED, ALL):
            shutil.copytree(shelf.path(names[i % USED]), shelf.path(f"task{i}"), copy_function=os.link)
        since = time.perf_counter()
        with up(base, shelf, budget=1 << 30, queue=LOAD, fast=True) as engine:
            assert len(engine.served()) == ALL + 1
            told["seconds_to_list_a_thousand"] = time.perf_counter() - since
            # Of one in the bank, which is kept in the base's own precision; told is what it has in fp32.
            size = next(it.bytes for it in engine.served() if it.parent) * base.model.dtype.itemsize // 4
        speeds: dict[str, list[float]] = {"all that are asked for": [], f"{FEW} of them": []}
        for turn in range(3):
            for way, room in zip(speeds, (1 << 30, (FEW + 1) * size), strict=True):
                with up(base, shelf, budget=room, queue=LOAD, fast=True) as engine:
                    zipf(engine, base, names, 10_000 * turn)
                    before = engine.figures()["evictions"]
                    speeds[way].append(zipf(engine, base, names, 10_000 * turn + 5_000))
                    print(
                        f"{way}: {speeds[way][-1]:.0f} tokens a second, {engine.figures()['evictions'] - before:.0f} evictions", flush=True
                    )
        told["tokens_a_second"] = {way: spread(values) for way, values in speeds.items()}
        whole, few = speeds.values()
        told["share_with_few"] = spread([a / b for a, b in zip(few, whole, strict=True)])
    keep(HERE / "results" / "switching.json", told)


if __name__ == "__main__":
    run()
