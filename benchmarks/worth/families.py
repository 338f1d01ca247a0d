"""What starts are worth, family by family: one table over the results, wins and losses."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from worth.table import difference, ends, plainly, share

from headstart.train.evaluate import mean_interval

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Family:
    """Tasks on which ways stand side by side, in one result or in several that ask alike of other tasks."""

    told: str
    start: str
    shots: int
    results: tuple[str, ...]
    trained: str
    """What the start's training saw of the family."""
    alone: bool = False
    """Whether examples are taught, and questions asked, alone; but those of the prompt."""


FAMILIES = (
    Family(
        "dialects", "sql", 10, ("far-dialects", "far-dialects-both", "far-dialects-more", "far-dialects-seeds"), "the family, not the words"
    ),
    Family("library calls", "api", 5, ("far-apis", "far-apis-seeds"), "the family, not the words"),
    Family("commands", "general", 10, ("commands",), "other programs"),
    Family("labels", "general", 10, ("labels",), "another collection"),
    Family("strings", "general", 10, ("strings",), "other kinds"),
    Family("real engines", "sql", 10, ("engines", "engines-sql"), "nothing; dialects are near"),
    Family("real engines", "general", 10, ("engines",), "nothing; dialects are near"),
    Family("calls of dialogues", "general", 10, ("calls",), "nothing"),
    Family("inflection", "general", 10, ("inflection",), "nothing"),
    Family("inflection", "auto", 10, ("auto-inflection", "auto-inflection-more", "inflection"), "nothing"),
    Family("dialects", "without-dialects", 10, ("held-out-dialects",), "nothing"),
    Family("library calls", "without-apis", 5, ("held-out-apis",), "nothing"),
    Family("dialects", "sql", 10, ("alone-dialects", "far-dialects-more"), "the family, not the words", alone=True),
    Family("library calls", "api", 5, ("alone-apis", "far-apis"), "the family, not the words", alone=True),
)
FOREMOST = {
    ("dialects", "sql"): "made-up query languages",
    ("library calls", "api"): "calls of made-up libraries",
    ("real engines", "general"): "SQL of real engines, which no start was trained on",
    ("labels", "general"): "labels",
}
"""What README.md shows of them, in words that need no explanation."""
MORE = {100: "scratch-dialects-more", 300: "scratch-dialects-most"}
"""Examples from scratch -> the result of far dialects with so many."""
NEVER = "–"
"""In place of what was not measured."""
HEAD = (
    "| family | its start's training saw | start | examples | tasks | adapted | no step | scratch | prompt | over no step | over scratch "
    "| over the prompt |",
    "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
)


def families() -> list[str]:
    """The section of docs/benchmarks.md."""
    return [
        "## What is a start worth, family by family?",
        "",
        "Right to the letter in per cent, each way as it is used: behind its examples. Differences in points, paired by task. All with "
        "95 % intervals over tasks, not widened for their number; in bold where they do not hold zero. The sections below say how each was "
        "measured; a start that is not shipped is one of benchmarks/worth/starts. No task of commands, strings, calls of dialogues or "
        "inflection comes twice. Inflection is of three language families and calls are of three domains; real engines are four, some "
        "tasks each; labels share 16 classes, which have their own names in a third of the tasks: what is told of them is not of others. "
        "Of the words of dialects one keyword in eight is SQL's own. `auto` is what `--start auto` took of the starts of that day, of "
        "which `api` was replaced later, and none; "
        "each other start was named. Of a task that was taught under three seeds (library calls, and dialects from number 2000 on) "
        "the mean counts. No step: the start itself behind the examples, where that was asked. Multi-task training has a table of its own, "
        "below.",
        "",
        *HEAD,
        *(line for family in FAMILIES if not family.alone for line in _row(family)),
        "",
        "Weights that stand alone (`headstart adapt --no-prefix`): each example taught alone, questions asked alone, from the start and "
        "from scratch; the examples in the prompt as above, on the same tasks.",
        "",
        *HEAD,
        *(line for family in FAMILIES if family.alone for line in _row(family)),
        "",
    ]


def in_short() -> list[str]:
    """What a visitor of README.md wants to know of it."""
    shown = {FOREMOST[key]: it for it in FAMILIES if not it.alone and (key := (it.told, it.start)) in FOREMOST}
    alike = [it.told for it in FAMILIES if not it.alone and it.start == "general" and _alike(it)]
    dialects = shares(FAMILIES[0], "sql", "behind")
    scratch = {k: shares(replace(FAMILIES[0], results=(name,), shots=k), "none", "alone") for k, name in MORE.items()}
    ten = {k: share([dialects[task] for task in its]) for k, its in scratch.items()}
    many = [f"{k} give {share([*its.values()])} where ten from `sql` give {ten[k]} ({len(its)} tasks)" for k, its in scratch.items()]
    return [
        "| right to the letter, % of new questions (95 % interval) | examples | tasks | from a start | the start, no step | from scratch "
        "| in the prompt |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *(
            f"| {told} (`{it.start}`) | {it.shots} | {len(each[0])} | {' | '.join(_share(its) for its in each)} |"
            for told, it in shown.items()
            for each in [_each(it)]
        ),
        "",
        textwrap.fill(
            f"All four are asked behind their examples. {_steps([*shown.values()])} "
            f"On {', '.join(alike[:-1])} and {alike[-1]} no difference from scratch can be told. "
            f"More examples from scratch, by a recipe that was not tuned: {'; '.join(many)}. "
            "[All families, and how it was measured](docs/benchmarks.md#what-is-a-start-worth-family-by-family).",
            150,
            break_long_words=False,
            break_on_hyphens=False,
        ),
        "",
    ]


def _steps(shown: list[Family]) -> str:
    """For which starts stepping is told from the start itself, of those that were asked without a step."""
    gained = {
        it.start: gap([start[task] - its for task, its in still.items()]) for it in shown for start, still, *_ in [_each(it)] if still
    }
    told = [f"`{name}` ({it.strip('*')} points)" for name, it in gained.items() if it.startswith("**")]
    rest = [f"`{name}`" for name, it in gained.items() if not it.startswith("**")]
    some, others = (" and ".join(names) or "none" for names in (told, rest))
    return f"A gain of the steps over the start itself can be told of {some}, and not of {others}."


def _alike(family: Family) -> bool:
    """Whether its start is not told from scratch, paired by task."""
    start, _, scratch, _ = _each(family)
    low, high = mean_interval([start[task] - its for task, its in scratch.items()])
    return low <= 0 <= high


def _each(family: Family) -> list[dict[int, float]]:
    """The start, the same without a step, scratch and the prompt, each on the tasks that the start was asked; empty: not measured."""
    asked, named = ("alone", plainly) if family.alone else ("behind", str)
    start = shares(family, named(family.start), asked)
    others = ((named(f"{family.start} unstepped"), asked), (named("none"), asked), ("prompt", "behind"))
    return [start, *({task: its for task, its in shares(family, *way).items() if task in start} for way in others)]


def _row(family: Family) -> Iterator[str]:
    """Its line, each way on the tasks that the start was asked; none where it was not measured."""
    start, *others = _each(family)
    if not start:
        return
    told = [_share(its) for its in (start, *others)]
    gaps = [gap([start[task] - share for task, share in its.items()]) if its else NEVER for its in others]
    yield f"| {' | '.join([family.told, family.trained, f'`{family.start}`', str(family.shots), str(len(start)), *told, *gaps])} |"


def _share(its: dict[int, float]) -> str:
    return share([*its.values()]) if its else NEVER


def shares(family: Family, way: str, asked: str) -> dict[int, float]:
    """Number of a task -> share of its questions; a result has its tasks from the first on."""
    found: dict[int, float] = {}
    for name in family.results:
        path = HERE / "results" / f"{name}.json"
        result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"cells": []}
        mine = (it for it in result["cells"] if (it["way"], it["shots"], it["asked"]) == (way, family.shots, asked))
        found |= {result["config"]["first"] + task: share for it in mine for task, share in enumerate(it["exact"]["values"])}
    return found


def gap(each: list[float]) -> str:
    told, within = difference(each), ends(each)
    return f"**{told}**" if within and not within[0] <= 0 <= within[1] else told
