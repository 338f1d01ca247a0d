"""Is it faster to guess? Unseen tasks' questions, answered with tokens guessed out of what a row has read, and without, in turns.

python benchmarks/serving/guessing.py. Adapters are shipped starts behind the task's own examples, as `headstart adapt --steps 0` would
leave them, and are asked what their tasks ask; then requests of random words, whose answers repeat little. What all of a task's questions
begin with has been read before, as on a server at work. Written to results/guessing.json.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from machine import keep, spread
from ways import drained, fill_shelf, text, up

from headstart.adapters.starts import Starts
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.lm.generate import Sampling
from headstart.lm.load import Base, hush, load
from headstart.recipes import spoken
from headstart.serve.apart import apart
from headstart.serve.engine import Running
from headstart.serve.request import Ask

FAMILIES = {"dialects": ("dialects", "sql", 10), "library calls": ("apis", "api", 5)}
"""Family -> its kind of tasks, the start, and examples of a task."""
FIRST, TASKS, QUESTIONS, TURNS = 600, 4, 4, 2
"""Validation tasks from the first of these on; questions of each; turns."""
AT_ONCE = (1, 4, 16)
NEW = 48
GUESSED = {"guessing": 64, "without": 0}


def tasks(base: Base, shelf: Shelf) -> dict[str, list[Ask]]:
    """What is asked, family by family; its adapters are put on the shelf."""
    asked: dict[str, list[Ask]] = {}
    for family, (kind, start, shots) in FAMILIES.items():
        source = spoken.KINDS[kind].make({"shots": shots}, 0)
        weights = Starts().read(start, key_of(base)).weights
        asked[family] = []
        for task in range(TASKS):
            lesson, name = source.lesson("validation", FIRST + task, shots, QUESTIONS), f"{start}{task}"
            shelf.write(name, weights, {"base": asdict(key_of(base))}, base.layers, tuple(lesson.support))
            asked[family] += [Ask(name, tuple(e.messages[:-1]), Sampling(max_tokens=NEW)) for e in lesson.query]
    names = fill_shelf(base, shelf, TASKS)
    asked["random words"] = [Ask(names[i % TASKS], text(base, NEW, i), Sampling(max_tokens=NEW)) for i in range(TASKS * QUESTIONS)]
    return asked


def answered(engine: Running, ask: Ask) -> tuple[str, int]:
    """The answer, and how many tokens it has."""
    said, ended = drained(engine.submit(ask))
    return said, ended.completion_tokens


def served(engine: Running, asked: Sequence[Ask], at_once: int) -> tuple[float, list[str]]:
    """Tokens a second of a load, and its answers."""
    with ThreadPoolExecutor(at_once) as pool:
        since = time.perf_counter()
        said = list(pool.map(lambda ask: answered(engine, ask), asked))
        return sum(tokens for _, tokens in said) / (time.perf_counter() - since), [words for words, _ in said]


def measured(base: Base, shelf: Shelf) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for family, asked in apart(lambda: tasks(base, shelf)).items():
        speeds: dict[int, dict[str, list[float]]] = {many: {way: [] for way in GUESSED} for many in AT_ONCE}
        passes: dict[str, float] = {}
        differ = 0
        for _ in range(TURNS):
            said = {}
            for way, guessed in GUESSED.items():
                with up(base, shelf, kept=1 << 28, guessed=guessed, fast=True) as engine:
                    # What a task's questions begin with is read, and kept.
                    served(engine, asked[::QUESTIONS] if family in FAMILIES else asked[:1], 1)
                    for many in AT_ONCE:
                        before = engine.figures()
                        speed, said[way, many] = served(engine, asked, many)
                        after = engine.figures()
                        speeds[many][way].append(speed)
                        if many == 1:
                            passes[way] = (after["tokens_written"] - before["tokens_written"]) / (after["passes"] - before["passes"])
            differ = sum(a != b for many in AT_ONCE for a, b in zip(said["guessing", many], said["without", many], strict=True))
            print(
                family, {many: {way: round(s[-1], 1) for way, s in of.items()} for many, of in speeds.items()}, passes, differ, flush=True
            )
        told[family] = {
            "requests": len(asked),
            "tokens_a_pass": passes["guessing"],
            "differ": differ,
            "at_once": {
                str(many): {
                    "tokens_a_second": {way: spread(each) for way, each in of.items()},
                    "times_as_fast": spread([a / b for a, b in zip(of["guessing"], of["without"], strict=True)]),
                }
                for many, of in speeds.items()
            },
        }
    return told


def run() -> None:
    hush()
    base = apart(lambda: load(None))
    with tempfile.TemporaryDirectory() as folder:
        told = measured(base, Shelf(Path(folder)))
    facts = {"tasks": TASKS, "questions": QUESTIONS, "turns": TURNS, "dtype": str(base.model.dtype)[6:]}
    keep(HERE / "results" / "guessing.json", facts | {"families": told})


if __name__ == "__main__":
    run()
