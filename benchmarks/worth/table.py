"""The worth of starts as a table, and every pair's difference on the same tasks."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from machine import machine_line

from headstart.train.evaluate import mean, mean_interval, share_interval

HERE = Path(__file__).parent
CHECKS = {
    "dialects": "same rows",
    "engines": "same rows",
    "apis": "same call",
    "calls": "same call",
    "commands": "same command",
    "labels": "same label",
}
"""What a family holds to be right, beyond the letter; others compare letters but for spaces."""
OLDER = {
    "dialects": ("by a check that was lenient (numbers one off often passed)",),
    "engines": (
        "by a check that was lenient (numbers one off often passed, and other engines' words for the same)",
        "by a check that passed other engines' words for the same, such as LIMIT for TOP",
    ),
    "commands": ("by a check that took a quoted sign for a bare one",) * 2,
}
"""Family -> what its first check passed, and its second, for results that were counted by these."""
WAYS = {
    "base": "the base",
    "prompt": "the base, the examples in the prompt",
    "none": "LoRA from scratch",
    "auto": "whichever start, or none, `--start auto` takes",
    "none plain": "LoRA from scratch, each example taught alone",
    "unstepped": "start `{}`, no step",
    "plain": "start `{}`, then adapted, each example taught alone",
    "start": "start `{}`, then adapted",
}
PLAIN = "plain"
"""Behind a way's name: weights are taught that need no examples in front, each example alone."""


def worth() -> list[str]:
    """A section of docs/benchmarks.md for each experiment that was measured, but for those that are one table together."""
    paths = [path for path in sorted((HERE / "results").glob("*.json")) if not path.stem.startswith("pooled-")]
    return [line for path in paths for line in _section(path.stem, json.loads(path.read_text()))]


def by(start: dict[str, Any]) -> str:
    """What a start was trained on and how; in older results that is one text."""
    return f"{start['about']} by {start['by']}" if "by" in start else str(start["about"])


def _section(name: str, result: dict[str, Any]) -> list[str]:
    config, cells = result["config"], result["cells"]
    about = (
        ["none"]
        if not result["starts"]
        else [f"`{start}` ({by(it)}, {it['meta_steps']} meta-steps)" for start, it in result["starts"].items()]
    )
    lines = [
        f"## What is a start worth? {name}",
        "",
        f"Family {config['family']}, split {config['split']}. "
        f"{config['about']} {config['queries']} new questions each, seeds: "
        f"{config['seeds']}. Starts: {', '.join(about)}. Greedy answers in per cent, with 95 % intervals over tasks; differences to the "
        f"letter. `python benchmarks/worth/run.py {name}` measures it again.",
        "",
        f"| way | examples | asked | tasks | right to the letter | {CHECKS.get(config['family'], 'same words')} | steps | seconds a task |",
        "|---|--:|---|--:|--:|--:|--:|--:|",
    ]
    for it in cells:
        asked = {"behind": "behind the examples", "alone": "alone"}[it["asked"]]
        lines.append(
            f"| {_name(it['way'])} | {it['shots']} | {asked} | {it['tasks']} "
            f"| {share(it['exact']['values'])} | {share(it['right']['values'])} | {it['steps']:.0f} | {it['seconds']:.1f} |"
        )
    for lenient in OLDER.get(config["family"], ())[result.get("check", 1) - 1 :][:1]:
        lines += ["", f"{CHECKS[config['family']].capitalize()}: {lenient}. Right to the letter is not touched by it."]
    return [*lines, "", *_paired(result), "", machine_line(result["machine"]), ""]


def _paired(result: dict[str, Any]) -> list[str]:
    """The adapted start against each other way, task by task, to the letter, at the same number of examples and the same way of asking."""
    cells = {(it["way"], it["shots"], it["asked"]): it for it in result["cells"]}
    lines, starts = [], [each for name in result["starts"] for each in (name, plainly(name))]
    for (way, shots, asked), it in cells.items():
        # Of two starts the first less the second, and not the other way round too.
        for start in starts[: starts.index(way)] if way in starts else starts:
            ours = cells.get((start, shots, asked))
            if ours is None or ours["tasks"] != it["tasks"]:
                continue
            within = ends(gaps := [a - b for a, b in zip(ours["exact"]["values"], it["exact"]["values"], strict=True)])
            verdict = ": no difference beyond chance" if within and within[0] <= 0 <= within[1] else ""
            lines.append(
                f"- start {_begun(start)} on {shots} examples, less {_name(way)}, asked {asked} the examples: "
                f"{difference(gaps, ' points')}{verdict}".replace(" alone the examples", " alone")
            )
    return lines


def _name(way: str) -> str:
    start, _, form = way.partition(" ")
    return WAYS.get(way) or WAYS[form or "start"].format(start)


def plainly(start: str) -> str:
    """The way that begins from a start, or from none, and shows each example alone."""
    return f"{start} {PLAIN}"


def _begun(way: str) -> str:
    start, _, plain = way.partition(" ")
    return f"`{start}` adapted{' alone' if plain else ''}"


def share(shares: Sequence[float]) -> str:
    """The mean with its interval, in per cent."""
    low, high = (whole(end) for end in share_interval(shares))
    return f"{whole(mean(shares))} ({low} to {high})"


def ends(each: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of a mean difference; None where all are equal, which says nothing of how they spread."""
    return mean_interval(each) if max(each) - min(each) > 1e-9 else None


def difference(each: Sequence[float], unit: str = "") -> str:
    """The mean of differences, task by task, with its interval where there is one."""
    told = points(mean(each)) + unit
    if within := ends(each):
        return f"{told} ({points(within[0])} to {points(within[1])})"
    return f"{told} on every task" if any(each) else "the same on every task"


def points(difference: float) -> str:
    """A difference of shares, in points."""
    return f"{whole(difference):+d}"


def whole(share: float) -> int:
    """In per cent, halves away from zero: shares of four questions are halves often."""
    return int(math.copysign(math.floor(100 * abs(share) + 0.5), share))
