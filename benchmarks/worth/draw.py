"""What starts are worth, as a picture: python benchmarks/worth/draw.py -> docs/figures/worth.png, from the committed results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

HERE = Path(__file__).parent
OUT = HERE.parent.parent / "docs" / "figures" / "worth.png"
WAYS = {
    "prompt": ("examples in the prompt", "#b0b7c3"),
    "none": ("LoRA from scratch", "#7f8ea3"),
    "sql": ("start sql", "#7fb3d5"),
    "general": ("start general", "#3c8dbc"),
    "api": ("start api", "#14507a"),
}
FAMILIES = {"far-dialects-both": "SQL dialects, 10 examples", "far-apis": "library calls, 5 examples"}


def shares(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each way's share of right answers, behind the examples, as they were taught."""
    return {it["way"]: it for it in result["cells"] if it["way"] in WAYS and it["asked"] == "behind"}


def main() -> None:
    figure = Figure(figsize=(9, 3), layout="constrained")
    for axes, (name, title) in zip(figure.subplots(1, len(FAMILIES), sharex=True), FAMILIES.items(), strict=True):
        found = shares(json.loads((HERE / "results" / f"{name}.json").read_text()))
        ways = [way for way in WAYS if way in found][::-1]
        means = [100 * found[way]["right"]["mean"] for way in ways]
        low, high = ([100 * found[way]["right"]["interval"][side] for way in ways] for side in (0, 1))
        reach = [[mean - it for mean, it in zip(means, low, strict=True)], [it - mean for mean, it in zip(means, high, strict=True)]]
        axes.barh([WAYS[way][0] for way in ways], means, xerr=reach, color=[WAYS[way][1] for way in ways], capsize=3)
        axes.set(xlabel="right, %", xlim=(0, 100))
        axes.set_title(f"{title}, {found[ways[0]]['tasks']} tasks", fontsize=10)
    figure.savefig(OUT, dpi=120)


if __name__ == "__main__":
    main()
