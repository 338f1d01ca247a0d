"""What starts are worth, as a picture: python benchmarks/worth/draw.py -> docs/figures/worth.png, from the committed results."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.figure import Figure

from headstart.train.evaluate import mean, mean_interval

HERE = Path(__file__).parent
OUT = HERE.parent.parent / "docs" / "figures" / "worth.png"
WAYS = {
    "prompt": ("examples in the prompt", "#b0b7c3"),
    "none": ("LoRA from scratch", "#7f8ea3"),
    "sql": ("start sql", "#7fb3d5"),
    "general": ("start general", "#3c8dbc"),
    "api": ("start api", "#14507a"),
}
FAMILIES = {
    "SQL dialects, 10 examples": ("far-dialects", "far-dialects-both", "far-dialects-more"),
    "library calls, 5 examples": ("far-apis",),
}
"""Title -> results, each of tasks of its own."""


def shares(names: tuple[str, ...]) -> dict[str, list[float]]:
    """Each way's shares of right answers a task, behind the examples, as they were taught; of ways that all the results have."""
    results = [json.loads((HERE / "results" / f"{name}.json").read_text()) for name in names]
    found = [{it["way"]: it["right"]["values"] for it in each["cells"] if it["asked"] == "behind"} for each in results]
    return {way: [share for each in found for share in each[way]] for way in WAYS if all(way in each for each in found)}


def main() -> None:
    figure = Figure(figsize=(9, 3), layout="constrained")
    for axes, (title, names) in zip(figure.subplots(1, len(FAMILIES), sharex=True), FAMILIES.items(), strict=True):
        found = shares(names)
        ways = list(found)[::-1]
        means = [100 * mean(found[way]) for way in ways]
        low, high = zip(*([100 * min(max(end, 0.0), 1.0) for end in mean_interval(found[way])] for way in ways), strict=True)
        reach = [[at - it for at, it in zip(means, low, strict=True)], [it - at for at, it in zip(means, high, strict=True)]]
        axes.barh([WAYS[way][0] for way in ways], means, xerr=reach, color=[WAYS[way][1] for way in ways], capsize=3)
        axes.set(xlabel="right, %", xlim=(0, 100))
        axes.set_title(f"{title}, {len(found[ways[0]])} tasks", fontsize=10)
    figure.savefig(OUT, dpi=120)


if __name__ == "__main__":
    main()
