"""Bases in few bits, and losses of a few logits at a time, as sections of docs/benchmarks.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from machine import cell, machine_line

HERE = Path(__file__).parent


def small() -> list[str]:
    """Every result there is; what has none is said."""
    lines = ["## What does a base in few bits take?", ""]
    for path in sorted(it for it in HERE.glob("results/*.json") if it.stem not in ("quality", "small-card")):
        lines += _table(json.loads(path.read_text()))
    if not (HERE / "results" / "small-card.json").exists():
        lines += ["Nothing of this has been measured on a GPU: `python benchmarks/small/card.py` does it.", ""]
    return [*lines, *_quality(json.loads((HERE / "results" / "quality.json").read_text()))]


def _quality(result: dict[str, Any]) -> list[str]:
    lines = [
        f"What it does to answers: {len(result['seeds'])} dialects, the embedded base taught from scratch by {result['shown']} examples "
        f"each, {result['asked']} unseen questions behind the examples; means with 95 % intervals over dialects, which are wide.",
        "",
        "| taught in | right to the letter | loss, nats a token |",
        "|---|--:|--:|",
    ]
    lines += [f"| {way} | {cell(it['right'], most=1.0)} | {cell(it['loss'])} |" for way, it in result["ways"].items()]
    return [*lines, "", machine_line(result["machine"]), ""]


def _table(result: dict[str, Any]) -> list[str]:
    asked = result["asked"]
    lines = [
        f"{asked['setting']['examples']} examples of {asked['setting']['length']} tokens in front of each other, every linear of the upper "
        f"third, rank {asked['setting']['rank']}, {asked['steps']} steps, each cell a process of its own (resident memory, one "
        "thread). Weights: the base's tensors, counted. Beside: what teaching takes above what was there before it. Again: with layers "
        "computed again. Seconds are of a step on the clock, while other work ran, and of the processor in all, which other work disturbs "
        "less. Shapes but the embedded one have random weights; its own in bf16 are mapped from its file, and count among what is beside "
        "as they are first read.",
        "",
        "| base | precision | weights, MB | beside, MB | beside, again | peak, MB | peak, again | seconds a step | processor seconds |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for it in (it for it in result["cells"] if "error" not in it):
        plain, again = it["default"], it["checkpoint"]
        sizes = (it["weights"], plain["beside"], again["beside"], plain["peak"], again["peak"])
        lines.append(
            f"| {it['shape'].rpartition('/')[2]} | {it['precision']} | "
            + " | ".join(f"{size / 1e6:.0f}" for size in sizes)
            + f" | {plain['seconds_a_step']:.2f} | {plain['processor_seconds_in_all']:.1f} |"
        )
    for why in dict.fromkeys(it["until"] for it in result["cells"] if "until" in it):
        rows = dict.fromkeys(it["precision"] for it in result["cells"] if it.get("until") == why)
        lines += ["", f"Rows of {', '.join(rows)} are of a time when {why}; they have not been measured again (see docs/log.md)."]
    return [*lines, "", machine_line(result["machine"]), ""]


def losses() -> list[str]:
    """One step, two ways."""
    result = json.loads((HERE.parent / "losses" / "results" / "default.json").read_text())
    lines = [
        "## What do a few logits at a time cost?",
        "",
        f"One step of the embedded base, forward and backward, {result['targets']} targets, a vocabulary of {result['vocabulary']:,}: all "
        f"logits at once, or {result['at_once']} targets' at a time; turn about in one process. Gradients are "
        f"{result['gradients_apart']:.0e} apart, in their own length. `headstart bench losses` measures it again.",
        "",
        "| way | seconds | peak of resident memory, MB |",
        "|---|--:|--:|",
    ]
    for name, way in (("all at once", "all"), ("a few at a time", "few")):
        told = result["ways"][way]
        lines.append(f"| {name} | {told['seconds']['mean']:.2f} | {told['peak']['mean'] / 1e6:.0f} |")
    return [*lines, "", f"Seconds, few over all: {cell(result['seconds_ratio'])}.", "", machine_line(result["machine"]), ""]
