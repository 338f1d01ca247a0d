"""Write docs/benchmarks.md from the committed results: python benchmarks/report.py. Nobody types a number there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OUT = HERE.parent / "docs" / "benchmarks.md"
NAMES = {
    "ours": "headstart: the examples in front of each other, upper third",
    "ours_pairs": "headstart `--no-prefix`: plain pairs, upper third",
    "peft_documented": "transformers + PEFT as documented: fp32, whole logits, one example a step, q_proj and v_proj",
    "peft_written_well": "the same written well: native dtype, one batch, q_proj and v_proj",
    "peft_written_well_same_sites": "written well, at headstart's own sites",
}


def cell(spread: dict[str, Any], form: str = "{:.2f}") -> str:
    interval = spread["interval"]
    return form.format(spread["mean"]) + (f" ({form.format(interval[0])} to {form.format(interval[1])})" if interval else "")


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
            f"| {cell(peak, '{:.0f}')} | {cell(row['unseen_right'])} |"
        )
    return [*lines, "", machine_line(where), ""]


def machine_line(where: dict[str, Any]) -> str:
    bf16 = "with" if where["bf16_instructions"] else "without"
    versions = ", ".join(f"{name} {number}" for name, number in where["versions"].items())
    return f"Measured {where['date']} on {where['processor']}, {where['cores']} cores, {bf16} bf16 instructions; {versions}."


def main() -> None:
    lines = ["# Benchmarks", "", "Written by `python benchmarks/report.py` from the results beside each benchmark.", ""]
    for path in sorted(HERE.glob("adapting/results/*.json")):
        lines += adapting(json.loads(path.read_text()))
    OUT.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
