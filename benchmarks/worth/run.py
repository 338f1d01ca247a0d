"""How many examples is a start worth? Unseen tasks learned from K examples: from a start, from scratch, from the prompt alone.

headstart bench worth: every experiment that wants nothing more; python benchmarks/worth/run.py [--data FOLDER] NAME: one, of worth/*.toml.
Starts that are not shipped come of headstart meta-train benchmarks/worth/starts/NAME.toml. Every cell is kept under
$HEADSTART_HOME/runs/worth-NAME as it comes, so what was stopped goes on, and what was measured by another config or start is passed over;
worth/results/NAME.json is written at the end, or by --summary.
With --together N the tasks of a cell are taught and asked N at a time, which is what a GPU wants.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from machine import keep
from side_by_side import measured as side_by_side
from side_by_side import tuned
from table import PLAIN, plainly

from headstart.adapters import peft
from headstart.adapters.beginnings import AUTO, begun
from headstart.adapters.starts import ALONE, Starts
from headstart.adapters.wear import key_of
from headstart.config import home
from headstart.episode import right
from headstart.lm.load import Base, hush, load
from headstart.recipes import spoken
from headstart.tasks.family import Family, Lesson
from headstart.teach import NONE, Beginning, Recipe
from headstart.teach.choose import choose
from headstart.teach.worth import BASE, PROMPT, Asked, tried
from headstart.terms import SHOWN
from headstart.train.evaluate import mean, share_interval

Measured = list[dict[str, Any]]
"""Cells as they are kept."""
CHECK = 3
"""Which check of right answers a result was counted by; 1 and 2: older ones, see the table."""


@dataclass(frozen=True)
class Cell:
    """One way on one task."""

    way: str
    shots: int
    task: int
    seed: int


def cells(config: dict[str, Any]) -> Iterator[Cell]:
    """Task by task, so that what is stopped early has whole tasks."""
    for seed in range(config["seeds"]):
        for task in range(config["tasks"]):
            for way, shots in config["shots"].items():
                yield from (Cell(way, k, task, seed) for k in shots)


def way(cell: Cell, starts: dict[str, Beginning], config: dict[str, Any]) -> tuple[Beginning, bool]:
    """Where a way begins, and whether it steps from there; from scratch by the recipe that the config has for that many examples."""
    start, _, form = cell.way.partition(" ")
    it = starts.get(cell.way) or starts.get(start, starts[NONE])
    own = recipe_of(config, cell) or {}
    recipe = Recipe(it.recipe.steps, it.recipe.rate, target=it.recipe.target, seed=cell.seed, prefix=it.recipe.prefix)
    return replace(it, recipe=replace(recipe, **own)), form != "unstepped" and start not in (BASE, PROMPT)


def recipe_of(config: dict[str, Any], cell: Cell) -> dict[str, Any] | None:
    """What a config says of a recipe; nothing, but for scratch."""
    return config.get("recipes", {}).get(str(cell.shots)) if cell.way == NONE else None


def decisive(config: dict[str, Any], starts: Mapping[str, str], cell: Cell) -> str:
    """A hash of all that decides what a cell measures, beside what it says itself.

    Args:
        config: the experiment.
        starts: as `fingerprints` has them.
        cell: one of its cells.
    """
    asked = [config.get(name) for name in ("family", "data", "split", "first", "queries")]
    # Tasks out of a file have to have room for the most examples that any way is shown.
    room = most(config) if "data" in config else None
    begun: Any = dict(starts) if cell.way == AUTO else starts.get(cell.way) or starts.get(cell.way.partition(" ")[0])
    return _hash([*asked, room, recipe_of(config, cell), begun])


def fingerprints(names: Sequence[str]) -> dict[str, str]:
    """Way -> what its start is: the weights, and the steps and the rate that suit how its examples are shown."""
    found = {}
    for start in names:
        shelf = Starts().shelf(start)
        record, weights = shelf.record(start), hashlib.sha256((shelf.path(start) / peft.WEIGHTS).read_bytes()).hexdigest()
        found |= {
            start: _hash([record.get("steps"), record.get("rate"), weights]),
            plainly(start): _hash([ALONE.steps, ALONE.rate, weights]),
        }
    return found


def most(config: dict[str, Any]) -> int:
    return max(k for counts in config["shots"].values() for k in counts)


def _hash(told: list[Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def alone(family: Family, base: Base, config: dict[str, Any], left: list[Cell], starts: dict[str, Beginning]) -> Iterator[Measured]:
    """Cell by cell."""
    for cell in left:
        it, stepped = way(cell, starts, config)
        lesson = lesson_of(family, config, cell)
        it = chosen(base, lesson, cell.seed, starts) if cell.way == AUTO else it
        found = tried(base, it, lesson.support, lesson.query, stepped, lambda *_: None)
        texts = {how: answers.texts for how, answers in found.answers.items()}
        yield [told(cell, found.steps, found.seconds, lesson, texts) | {"begun": it.name}]


def chosen(base: Base, lesson: Lesson, seed: int, starts: dict[str, Beginning]) -> Beginning:
    """What `--start auto` takes on a task's examples, of all the starts and none."""
    all_of = [replace(it, recipe=replace(it.recipe, seed=seed)) for name, it in starts.items() if PLAIN not in name]
    return choose(base, lesson.support, all_of, lambda *_: None).beginning


def together(
    family: Family, base: Base, config: dict[str, Any], left: list[Cell], starts: dict[str, Beginning], size: int
) -> Iterator[Measured]:
    """The same, `size` tasks at a time, way by way; scratch with many examples and no recipe by the one that validation tasks choose.

    Raises:
        SystemExit: a way whose start is chosen task by task.
    """
    if any(cell.way == AUTO for cell in left):
        sys.exit(f"'{AUTO}' chooses task by task: run it without --together.")
    groups: dict[tuple[str, int, int], list[Cell]] = {}
    for cell in left:
        groups.setdefault((cell.way, cell.shots, cell.seed), []).append(cell)
    for (name, shots, seed), mine in groups.items():
        it, stepped = way(mine[0], starts, config)
        if name == NONE and shots > SHOWN and recipe_of(config, mine[0]) is None:
            it = replace(it, recipe=replace(tuned(base, it, family, shots, config["queries"]), seed=seed))
        for at in range(0, len(mine), size):
            part = mine[at : at + size]
            lessons = [lesson_of(family, config, cell) for cell in part]
            steps, seconds, texts = side_by_side(base, it, lessons, stepped)
            yield [told(cell, steps, seconds, lesson, each) for cell, lesson, each in zip(part, lessons, texts, strict=True)]


def lesson_of(family: Family, config: dict[str, Any], cell: Cell) -> Lesson:
    return family.lesson(config["split"], config["first"] + cell.task, cell.shots, config["queries"])


def told(cell: Cell, steps: int, seconds: float, lesson: Lesson, texts: Mapping[Asked, Sequence[str]]) -> dict[str, Any]:
    """A cell, its answers judged, and kept to be judged again; with the examples in the prompt there is nothing to ask without them."""
    judged = {how: {**shares(lesson, each), "texts": [*each]} for how, each in texts.items() if (cell.way, how) != (PROMPT, "alone")}
    return {**vars(cell), "steps": steps, "seconds": seconds, "lesson": shown(lesson), **judged}


def shares(lesson: Lesson, texts: Sequence[str]) -> dict[str, float]:
    """Of the questions, how many were answered to the letter, and how many rightly."""
    checked = [lesson.check(e.completion, t) for e, t in zip(lesson.query, texts, strict=True)]
    return {"exact": right(lesson.query, texts), "right": mean(checked)}


def summary(done: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over tasks, each task's mean over its seeds, with 95 % intervals over tasks."""
    rows = []
    for way, shots, mode in sorted({(d["way"], d["shots"], m) for d in done for m in ("behind", "alone") if m in d}):
        mine = [d for d in done if (d["way"], d["shots"]) == (way, shots) and mode in d]
        tasks = sorted({d["task"] for d in mine})
        found: dict[str, Any] = {"way": way, "shots": shots, "asked": mode, "tasks": len(tasks), "seeds": len({d["seed"] for d in mine})}
        for measure in ("exact", "right"):
            each = [mean([d[mode][measure] for d in mine if d["task"] == task]) for task in tasks]
            found[measure] = {"mean": mean(each), "interval": share_interval(each), "values": each}
        rows.append(found | {"seconds": mean([d["seconds"] for d in mine]), "steps": mean([d["steps"] for d in mine])})
    return rows


def begin_from(base: Base, names: list[str]) -> dict[str, Beginning]:
    """The starts by name, and none; each for examples in front of each other, and for each example alone."""
    key, found = key_of(base), {}
    for recipe, named in ((Recipe(), str), (Recipe(prefix=False), plainly)):
        found |= {named(NONE): Beginning(NONE, recipe)} | {named(name): begun(Starts().read(name, key), recipe) for name in names}
    return found


def still_true(kept: Path, config: dict[str, Any], starts: Mapping[str, str], family: Family | None) -> dict[Cell, dict[str, Any]]:
    """What was kept, but for what the config, a start or, where the family is at hand, a task of today would measure otherwise."""

    def true(line: dict[str, Any]) -> bool:
        cell = cell_of(line)
        alike = line.get("decisive") == decisive(config, starts, cell)
        return alike and (family is None or line.get("lesson") == shown(lesson_of(family, config, cell)))

    lines = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    return {cell_of(line): line for line in lines if true(line)}


def shown(lesson: Lesson) -> str:
    """A hash of a task's examples and questions."""
    return _hash([[list(map(list, it.messages)) for it in side] for side in (lesson.support, lesson.query)])


def cell_of(line: dict[str, Any]) -> Cell:
    return Cell(line["way"], line["shots"], line["task"], line["seed"])


def run(name: str, only_summary: bool, data: Path | None, size: int = 0) -> None:
    config = configs()[name]
    prints = fingerprints(config["starts"])
    kept = home() / "runs" / f"worth-{name}" / "cells.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    values = {"data": (data or Path()) / config.get("data", ""), "shots": most(config)}
    family = None if only_summary else spoken.KINDS[config["family"]].make(values, 0)
    known = still_true(kept, config, prints, family)
    done = [*known.values()]
    if family is not None:
        hush()
        base = load(None)
        starts, left = begin_from(base, config["starts"]), [cell for cell in cells(config) if cell not in known]
        for found in together(family, base, config, left, starts, size) if size else alone(family, base, config, left, starts):
            found = [line | {"decisive": decisive(config, prints, cell_of(line))} for line in found]
            done += found
            with kept.open("a") as file:
                file.writelines(json.dumps(cell) + "\n" for cell in found)
            print(json.dumps(found[-1]), flush=True)
    if not done:
        print(f"{name}: nothing that is kept was measured by its config of today.")
        return
    records = {start: Starts().shelf(start).record(start) for start in config["starts"]}
    keep(HERE / "results" / f"{name}.json", {"config": config, "check": CHECK, "starts": records, "cells": summary(done)})


def configs() -> dict[str, dict[str, Any]]:
    """Every experiment by name; a file with tables `each` holds NAME-TABLE for each of them, which overrides what stands beside them."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(HERE.glob("*.toml")):
        config = tomllib.loads(path.read_text())
        each = config.pop("each", None)
        found |= {path.stem: config} if each is None else {f"{path.stem}-{it}": {"family": it, **config, **own} for it, own in each.items()}
    return found


def lacks(config: dict[str, Any], data: Path | None) -> str:
    """What an experiment wants and has not been given; nothing: it can be run."""
    if "data" in config and data is None:
        return f"reads {config['data']}: give --data with the folder that it lies in"
    absent = sorted({*config["starts"]} - {*Starts().names()})
    return f"begins from {', '.join(absent)}: train them by benchmarks/worth/starts" if absent else ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(configs()))
    parser.add_argument("--data", type=Path, help="folder with the files of families that lie in files")
    parser.add_argument("--summary", action="store_true", help="write the results of what is there, and measure nothing")
    parser.add_argument("--together", type=int, default=0, metavar="N", help="tasks that are taught and asked at once, for a GPU")
    given = parser.parse_args()
    if unknown := {*given.names} - {*configs()}:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(configs())}")
    for each in given.names or configs():
        if why := "" if given.summary else lacks(configs()[each], given.data):
            (sys.exit if given.names else print)(f"{each} {why}.")
        else:
            run(each, given.summary, given.data, given.together)
