"""What starts are worth, as a picture: python benchmarks/worth/draw.py -> docs/figures/worth.png, from the committed results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from headstart.train.evaluate import mean, share_interval

HERE = Path(__file__).parent
OUT = HERE.parent.parent / "docs" / "figures" / "worth.png"
WAYS = {
    "prompt": ("examples in the prompt", "#b0b7c3"),
    "none": ("LoRA from scratch", "#7f8ea3"),
    "sql": ("start sql", "#7fb3d5"),
    "general": ("start general", "#3c8dbc"),
    "api": ("start api", "#14507a"),
}
CURVE = ("far-dialects", "scratch-dialects", "scratch-dialects-more", "scratch-dialects-most", "prompt-dialects")
"""Results on the same tasks, in their order, with different numbers of examples."""
BARS = {
    "library calls, 5 examples": (("far-apis", "far-apis-seeds"), ("prompt", "none", "general", "api")),
    "real engines, 10 examples": (("engines",), tuple(WAYS)),
}
"""Title -> results of the same tasks, a way as the last that has it tells it, and which of the ways."""


def cells(name: str) -> list[dict[str, Any]]:
    """Ways as they would be used: behind their examples where those are few enough to stand there."""
    found = json.loads((HERE / "results" / f"{name}.json").read_text())["cells"]
    shown = {(it["way"], it["shots"]) for it in found if it["asked"] == "behind"}
    return [it for it in found if it["way"] in WAYS and (it["asked"] == "behind" or (it["way"], it["shots"]) not in shown)]


def per_cent(shares: Sequence[float]) -> tuple[float, float, float]:
    """Mean, and how far the ends of its 95 % interval over tasks are below and above."""
    middle, (low, high) = mean(shares), share_interval(shares)
    return 100 * middle, 100 * (middle - low), 100 * (high - middle)


def curve(axes: Axes) -> None:
    """Right answers over the number of examples, a line a way."""
    found = [it for name in CURVE for it in cells(name)]
    tasks = min(it["tasks"] for it in found)
    for way, (label, colour) in WAYS.items():
        by_shots = {it["shots"]: per_cent(it["exact"]["values"][:tasks]) for it in found if it["way"] == way}
        if by_shots:
            shots = sorted(by_shots)
            means, below, above = zip(*(by_shots[k] for k in shots), strict=True)
            axes.errorbar(shots, means, yerr=(below, above), label=label, color=colour, marker="o", capsize=3, linewidth=2)
    axes.set(xscale="log", xlabel="examples", ylabel="right to the letter, %", ylim=(-3, 103))
    ticks = sorted({it["shots"] for it in found if it["shots"]})
    axes.set_xticks(ticks, labels=[str(k) for k in ticks])
    axes.minorticks_off()
    axes.legend(fontsize=8, loc="upper right")
    axes.set_title(f"SQL dialects, {tasks} tasks", fontsize=10)


def bars(axes: Axes, title: str, names: Sequence[str], drawn: Sequence[str]) -> None:
    """A way a bar."""
    every = [it for name in names for it in cells(name)]
    found = {it["way"]: per_cent(it["exact"]["values"]) for it in every}
    ways = [way for way in drawn if way in found][::-1]
    means, below, above = zip(*(found[way] for way in ways), strict=True)
    labels, colours = zip(*(WAYS[way] for way in ways), strict=True)
    axes.barh(labels, means, xerr=(below, above), color=colours, capsize=3)
    axes.set(xlabel="right to the letter, %", xlim=(0, 100))
    axes.set_title(f"{title}, {min(it['tasks'] for it in every)} tasks", fontsize=10)


def main() -> None:
    figure = Figure(figsize=(9, 6), layout="constrained")
    panels = figure.subplot_mosaic([["curve", "curve"], [*BARS]], height_ratios=(3, 2))
    curve(panels["curve"])
    for title, (names, drawn) in BARS.items():
        bars(panels[title], title, names, drawn)
    figure.savefig(OUT, dpi=120)


if __name__ == "__main__":
    main()
