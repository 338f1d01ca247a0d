"""Write docs/benchmarks.md, and the figures in README.md, from the committed results: python benchmarks/report.py.

Nobody types a number there.
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from elsewhere.table import elsewhere
from machine import cell, machine_line
from on_cards import on_cards
from planner.table import planner
from reproduced import learners, lockstep, texts
from serving.table import serving
from small.table import losses, small
from worth.families import families
from worth.families import in_short as worth_in_short
from worth.pooled import pooled
from worth.table import worth

OUT = HERE.parent / "docs" / "benchmarks.md"
README = HERE.parent / "README.md"
MARKS = {name: (f"<!-- {name}: benchmarks/report.py -->\n", f"<!-- end of {name} -->") for name in ("worth", "figures")}
NAMES = {
    "ours": "headstart: the examples in front of each other, upper third",
    "ours_pairs": "headstart `--no-prefix`: plain pairs, upper third",
    "peft_documented": "transformers + PEFT as documented: fp32, whole logits, one example a step, q_proj and v_proj",
    "peft_written_well": "the same written well: native dtype, one batch, q_proj and v_proj",
    "peft_written_well_same_sites": "written well, at headstart's own sites",
}


def adapting(result: dict[str, Any]) -> list[str]:
    config, where = result["config"], result["machine"]
    lines = [
        "## How fast does it adapt?",
        "",
        f"{config['examples']} examples of {result['tokens']['mean']:.0f} tokens, {config['passes']} passes, rank {config['rank']}, "
        f"{len(config['tasks'])} tasks; every way in a process of its own, in turns. Means with 95 % intervals over tasks. "
        f"`headstart bench adapting` measures it again.",
        "",
        "| way | dtype | steps | seconds | times headstart's | peak memory, MB | unseen answers right |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for way, row in result["ways"].items():
        peak = {"mean": row["peak_bytes"]["mean"] / 1e6, "interval": None}
        lines.append(
            f"| {NAMES[way]} | {row['dtype']} | {row['steps']} | {cell(row['seconds'], '{:.1f}')} | {cell(row['times_ours'])} "
            f"| {cell(peak, '{:.0f}')} | {cell(row['unseen_right'], most=1.0)} |"
        )
    return [*lines, "", machine_line(where), ""]


def journey(result: dict[str, Any]) -> list[str]:
    demo = result["demo"]
    return [
        "## How long does a newcomer wait?",
        "",
        "A fresh clone with nothing cached. `headstart bench journey` measures it again.",
        "",
        "| | wanted | seconds |",
        "|---|--:|--:|",
        f"| `make demo`, installs included | under 360 | {demo['seconds']:.0f} |",
        f"| adapting to ten examples, in it | under 30 | {demo['adapting_seconds']:.1f} |",
        f"| `headstart ask --adapter`, base cached: shell to first letter | under 8 | {cell(result['first_letter'], '{:.1f}')} |",
        "",
        *(f"- {line}" for line in demo["right"]),
        "",
        machine_line(result["machine"]),
        "",
    ]


def in_short(result: dict[str, Any]) -> str:
    """What a reader of README.md wants to know."""
    ways = result["ways"]
    seconds = ways["ours"]["seconds"]["mean"]
    times, peak = ({way: row[key]["mean"] for way, row in ways.items()} for key in ("times_ours", "peak_over_ours"))
    right = {way: 100 * row["unseen_right"]["mean"] for way, row in ways.items()}
    documented, well = "peft_documented", "peft_written_well"
    config = result["config"]
    told = (
        f"{config['examples']} examples of {result['tokens']['mean']:.0f} tokens, rank {config['rank']}, {config['passes']} passes: "
        f"{seconds:.0f} s. transformers + PEFT as documented takes {times[documented]:.1f} times as long and {peak[documented]:.1f} times "
        f"the memory at its peak; written well, {times[well]:.1f} and {peak[well]:.1f} times. Of questions not among the examples, our "
        f"adapter, from scratch, then answers {right['ours']:.0f} % right to the letter, theirs {right[documented]:.0f} % and "
        f"{right[well]:.0f} %: on {len(config['tasks'])} tasks, which can tell no difference. Ours has a rate that was tuned for its "
        "sites; theirs are tuned less finely."
    )
    where = f"{machine_line(result['machine'])} [All figures](docs/benchmarks.md), with intervals."
    return f"{textwrap.fill(told, 150)}\n\n{textwrap.fill(where, 150)}\n"


def main() -> None:
    lines = ["# Benchmarks", "", "Written by `python benchmarks/report.py` from the results beside each benchmark.", ""]
    for path in sorted(HERE.glob("adapting/results/*.json")):
        lines += adapting(json.loads(path.read_text()))
    lines += journey(json.loads((HERE / "journey/results/default.json").read_text()))
    lines += serving() + elsewhere() + planner() + on_cards()
    lines += small() + losses() + families() + pooled() + worth() + learners() + lockstep() + texts()
    OUT.write_text("\n".join(lines).rstrip() + "\n")
    text = README.read_text()
    short = in_short(json.loads((HERE / "adapting/results/default.json").read_text()))
    for name, told in (("worth", "\n".join(worth_in_short())), ("figures", short)):
        begin, end = MARKS[name]
        text = text.split(begin)[0] + begin + told + end + text.split(end)[1]
    README.write_text(text)


if __name__ == "__main__":
    main()
