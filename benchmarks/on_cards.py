"""What was measured on a card, as sections of docs/benchmarks.md; nothing where nothing was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Cell = Callable[..., str]
Line = Callable[[dict[str, Any]], str]


def on_cards(cell: Cell, line: Line) -> list[str]:
    """All of them."""
    parts = (
        ("large", "large", _large),
        ("small", "small-card", _few),
        ("serving", "serving-card", _serving),
        ("planner", "planner-card", _planner),
    )
    lines: list[str] = []
    for folder, name, section in parts:
        path = HERE / folder / "results" / f"{name}.json"
        if path.exists():
            result = json.loads(path.read_text())
            lines += [*section(result, cell), "", line(result["machine"]), ""]
    return lines


def _large(result: dict[str, Any], cell: Cell) -> list[str]:
    done = [it for it in result["cells"] if "seconds" in it]
    return [
        "## What does it take to teach a base of seven billion?",
        "",
        f"An adapter of rank 8, {done[0]['steps']} steps of Adam, the base in bf16, its weights random, as neither "
        "memory nor speed reads them. Memory is what tensors hold at their height beside the base; the forecast is `headstart plan`'s. "
        "`python benchmarks/large/run.py` measures it again.",
        "",
        "| base | examples | sites | tokens at once | layers computed again | seconds | MB beside the base | forecast | adapter, MB |",
        "|---|---|---|--:|---|--:|--:|--:|--:|",
        *(
            f"| {it['base_name']} | {it['examples']} of {it['length']} tokens{', one conversation' if it['chain'] else ''} "
            f"| {'all linears, upper third' if it['upper'] else 'q_proj, v_proj'} | {it['piece']} | {'yes' if it['checkpoint'] else 'no'} "
            f"| {it['seconds']:.1f} | {it['beside_the_base'] / 1e6:.0f} | {it['forecast_beside_the_base'] / 1e6:.0f} "
            f"| {it['file_fp16'] / 1e6:.1f} |"
            for it in done
        ),
        "",
        *(
            f"Training all of {name} by AdamW is forecast to take {told['full_finetune_beside_the_base'] / 1e9:.0f} GB beside it."
            for name, told in result.items()
            if isinstance(told, dict) and "full_finetune_beside_the_base" in told
        ),
    ]


def _few(result: dict[str, Any], cell: Cell) -> list[str]:
    done = [it for it in result["cells"] if "seconds" in it]
    failed = [f"In {it['precision']} it failed: {it['error']}." for it in result["cells"] if "error" in it]
    if not done:
        return ["## What does a base of seven billion take in few bits?", "", *failed]
    return [
        "## What does a base of seven billion take in few bits?",
        "",
        f"{done[0]['base_name']} with random weights, packed by bitsandbytes; {done[0]['examples']} examples of {done[0]['length']} "
        f"tokens, rank 8 on q_proj and v_proj, {done[0]['steps']} steps of Adam, layers computed again. In all: what the driver had given "
        "away then, the context included. Forecasts are `headstart plan`'s. `python benchmarks/small/card.py` measures it again.",
        "",
        "| precision | base, GB | forecast | MB beside the base | forecast | in all, GB | seconds |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *(
            f"| {it['precision']} | {it['base'] / 1e9:.2f} | {it['forecast_base'] / 1e9:.2f} | {it['beside_the_base'] / 1e6:.0f} "
            f"| {it['forecast_beside_the_base'] / 1e6:.0f} | {(it.get('card') or it['peak']) / 1e9:.2f} | {it['seconds']:.1f} |"
            for it in done
        ),
        *(["", *failed] if failed else []),
    ]


def _serving(result: dict[str, Any], cell: Cell) -> list[str]:
    load = result["load"]
    ways = list(dict.fromkeys(it["way"] for it in result["cells"] if "tokens_a_second" in it))
    bases = list(dict.fromkeys(it["base"] for it in result["cells"]))
    speeds = {(it["base"], it["way"]): it["tokens_a_second"] for it in result["cells"] if "tokens_a_second" in it}
    single = {it["base"]: it for it in result["cells"] if it["way"] == "headstart, one answer" and "weights" in it}
    return [
        "## How fast does it serve on a card?",
        "",
        f"{load['requests']} requests at once over {load['adapters']} adapters, {load['prompt']} prompt and {load['new']} new tokens each, "
        "tokens a second; bases in bf16 with random weights. PEFT's requests one by one are two. "
        "`python benchmarks/serving/card.py` measures it again.",
        "",
        f"| way | {' | '.join(bases)} |",
        f"|---|{'--:|' * len(bases)}",
        *(f"| {way} | " + " | ".join(cell(speeds[b, way], "{:.0f}") if (b, way) in speeds else "" for b in bases) + " |" for way in ways),
        "",
        *(
            f"One answer of {name} takes {cell(it['milliseconds_a_token'], '{:.1f}')} ms a token; reading its weights once takes "
            f"{it['milliseconds_at_full_bandwidth']:.2f} at the memory's full speed."
            for name, it in single.items()
            if it["milliseconds_at_full_bandwidth"]
        ),
    ]


def _planner(result: dict[str, Any], cell: Cell) -> list[str]:
    rows = {
        "off": "all tensors",
        "off_with_workspaces": "the same, once the workspaces of products were counted",
        "off_beside": "those beside the base",
        "off_of_the_card": "all that the driver gave away",
    }
    told = result["summary"]
    return [
        "## Does the planner tell the truth of a card?",
        "",
        "Its forecasts against what was held, above or below. `python benchmarks/planner/card.py` measures it again."
        f"{' ' + result['note'] if 'note' in result else ''}",
        "",
        "| forecast of | settings | mean error | furthest above | furthest below |",
        "|---|--:|--:|--:|--:|",
        *(
            f"| {what} | {told[key]['cells']} | {told[key]['mean']:.1%} "
            f"| {told[key]['worst_over']:+.1%} | {told[key]['worst_under']:+.1%} |"
            for key, what in rows.items()
            if told.get(key, {}).get("cells")
        ),
    ]
