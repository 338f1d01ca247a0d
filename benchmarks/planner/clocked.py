"""How far forecasts of time were off, as a section of docs/benchmarks.md: of the embedded base on a processor, of others on a card."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from machine import cell, machine_line, spread
from planner.judge import setting_of, shape_named

from headstart.plan.cards import card
from headstart.plan.clock import CALL, Speed, speed, times
from headstart.plan.setting import Setting
from headstart.plan.shape import Shape
from headstart.plan.source import model
from headstart.terms import ALL_LINEAR, upper_third

HERE = Path(__file__).parent
ROOT = HERE.parent
CARD = "H200"
_FIRST = 3
"""Steps of the planner's cells, the first of which warms up what it calls."""


def clocked() -> list[str]:
    """Both tables; nothing where nothing was measured."""
    path = HERE / "results" / "seconds.json"
    if not path.exists():
        return []
    result = json.loads(path.read_text())
    return [
        "## Does the planner tell the truth of time?",
        "",
        f"Teaching the embedded base in {result['precision']}, {result['turns'][0][0]['steps']} steps of one thread, without the report: "
        "seconds of the processor, as other programs ran, and how many times as many were foretold, with 95 % "
        "intervals over turns through all settings. By the probe: `headstart plan --probe`, which multiplies "
        "large matrices and is told the examples' length, not that they share a template's head in front of each other. By the base: what "
        "the server's page foretells, which knows that head and times a step of the base itself. "
        f"{_turns(result)}. `python benchmarks/planner/seconds.py` measures it again.",
        "",
        "| sites | examples | in front of each other | seconds | foretold by the probe, times as many | by the base |",
        "|---|---|---|--:|--:|--:|",
        *(_row(result["precision"], cells) for cells in zip(*result["turns"], strict=True)),
        "",
        machine_line(result["machine"]),
        "",
        *_card(),
    ]


def _row(precision: str, cells: tuple[dict[str, Any], ...]) -> str:
    """One setting in all turns."""
    setting = replace(setting_of(cells[0]), precision=precision)
    shape, seconds = model(None).shape, [it["processor_seconds"] for it in cells]

    def ratio(way: str, setting: Setting) -> str:
        timed = [it for it in cells if way in it["speeds"]]
        ratios = [times(shape, setting, _speed(it["speeds"][way]), it["steps"]).adapt / it["processor_seconds"] for it in timed]
        return cell(spread(ratios))

    return (
        f"| {_sites(setting)} | {setting.examples} of {setting.length} tokens | {'yes' if setting.prefix else 'no'} "
        f"| {cell(spread(seconds), '{:.1f}')} | {ratio('probe', setting)} "
        f"| {ratio('base', replace(setting, head=cells[0]['head']))} |"
    )


def _turns(result: dict[str, Any]) -> str:
    """How many there were in which something was timed by today's code."""
    turns = result["turns"]
    count = sum("base" in turn[0]["speeds"] for turn in turns)
    more = "" if count == len(turns) else f", and {count} of them for the last column, as its timing was mended meanwhile"
    return f"Turns: {len(turns)}{more}"


def _speed(told: dict[str, Any]) -> Speed:
    return Speed(**{key: told[key] for key in ("arithmetic", "bandwidth", "source", "call", "apart")})


def _sites(setting: Setting) -> str:
    """In words."""
    linears = "all linears" if setting.target == (ALL_LINEAR,) else ", ".join(setting.target)
    return linears + ("" if setting.lowest == 0 else f", from layer {setting.lowest}")


def of_the_card() -> Iterator[tuple[str, str, Shape, Setting, int, float]]:
    """All that was timed on it of teaching an adapter: of what, name, shape, setting, steps, seconds."""
    for folder, name in (("large", "large"), ("small", "small-card")):
        for it in json.loads((ROOT / folder / "results" / f"{name}.json").read_text())["cells"]:
            if "seconds" in it and "until" not in it:
                shape = shape_named(it["base_name"])
                setting = Setting(
                    precision=it.get("precision", "bf16"),
                    target=(ALL_LINEAR,) if it["upper"] else ("q_proj", "v_proj"),
                    lowest=upper_third(shape.layers).start if it["upper"] else 0,
                    examples=it["examples"],
                    length=it["length"],
                    answer=it["length"] // 2,
                    folds=0,
                    prefix=it["chain"],
                    checkpoint=it["checkpoint"],
                    piece=it["piece"],
                )
                yield folder, it["base_name"], shape, setting, it["steps"], it["seconds"]
    for it in json.loads((HERE / "results" / "planner-card.json").read_text())["cells"]:
        if it["for"] == "adapt" and "seconds" in it and "until" not in it:
            yield "planner", it["shape"], shape_named(it["shape"]), setting_of(it), _FIRST, it["seconds"]


def _card() -> list[str]:
    fast = speed(card(CARD))
    assert fast is not None
    rows, ratios, bare = [], {}, {}  # type: list[str], dict[bool, list[float]], dict[bool, list[float]]
    for folder, name, shape, setting, steps, seconds in of_the_card():
        told = times(shape, setting, fast, steps).adapt
        without = times(shape, setting, replace(fast, call=0.0), steps).adapt
        ratios.setdefault(folder == "planner", []).append(told / seconds)
        bare.setdefault(folder == "planner", []).append(without / seconds)
        if folder != "planner":
            rows.append(
                f"| {name}, {setting.precision} | {setting.examples} of {setting.length} tokens, {setting.piece} at once "
                f"| {'yes' if setting.checkpoint else 'no'} | {seconds:.1f} | {told:.1f} | {without:.1f} |"
            )
    return [
        f"On an {CARD}, by its maker's figures and {CALL * 1e6:.0f} µs for each operator that is launched, twenty steps on q_proj and "
        "v_proj behind a warm-up: seconds taken, foretold, and foretold as if nothing were to be launched, much as it was until these were "
        "compared. The 20 µs were chosen with all of them in sight. The same setting in bf16 took 10.9 s in one run and 7.5 in another; "
        "other programs were at work.",
        "",
        "| base | examples | layers computed again | seconds | foretold | without launches |",
        "|---|---|---|--:|--:|--:|",
        *rows,
        "",
        f"{len(ratios[True])} further settings of 0.1 to 7 billion weights took {_FIRST} steps each, warm-up included, so they took too "
        f"long: foretold are {min(ratios[True]):.2f} to {max(ratios[True]):.2f} times as many seconds, "
        f"{_middle(ratios[True]):.2f} in the median; without launches {min(bare[True]):.3f} to {max(bare[True]):.2f} times.",
        "",
    ]


def _middle(values: list[float]) -> float:
    """The median."""
    return sorted(values)[len(values) // 2]
