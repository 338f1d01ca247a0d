"""What was measured on a card, as sections of docs/benchmarks.md; nothing where nothing was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from machine import cell, machine_line
from planner.judge import now, shape_named, summary, told

from headstart.plan.forecast import GPU, forecast
from headstart.plan.setting import Setting

HERE = Path(__file__).parent


def on_cards() -> list[str]:
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
            lines += [*section(result), "", machine_line(result["machine"]), ""]
    return lines


def _large(result: dict[str, Any]) -> list[str]:
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
            f"Training all of {name} by AdamW is forecast to take {_whole(name) / 1e9:.0f} GB beside it."
            for name, told in result.items()
            if isinstance(told, dict) and "full_finetune_beside_the_base" in told
        ),
    ]


def _whole(name: str) -> int:
    """Bytes beside a base, of all its weights trained, as it is foretold now."""
    pieces = forecast(shape_named(name), Setting(), "full", GPU).pieces
    return sum(size for what, size in pieces.items() if what not in ("base", "process", "held by the allocator"))


def _few(result: dict[str, Any]) -> list[str]:
    done = [it for it in result["cells"] if "seconds" in it]
    failed = [f"In {it['precision']} it failed: {it['error']}." for it in result["cells"] if "error" in it]
    if not done:
        return ["## What does a base of seven billion take in few bits?", "", *failed]
    return [
        "## What does a base of seven billion take in few bits?",
        "",
        f"{done[0]['base_name']} with random weights, packed by bitsandbytes; {done[0]['examples']} examples of {done[0]['length']} "
        f"tokens, rank 8 on q_proj and v_proj, {done[0]['steps']} steps of Adam, layers computed again. In all: what the allocator held, "
        f"and the driver's context, {result['taken_at_first'] / 1e9:.1f} GB. Forecasts are `headstart plan`'s at the time. "
        f"{result.get('note', '')} `python benchmarks/small/card.py` measures it again. "
        "Wanted: in bf16 under 1 GB beside the base and under 10 s, in 4 bits no more than 8 GB in all.",
        "",
        "| precision | base, GB | forecast | MB beside the base | forecast | in all, GB | seconds |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *(
            f"| {it['precision']} | {it['base'] / 1e9:.2f} | {it['forecast_base'] / 1e9:.2f} | {it['beside_the_base'] / 1e6:.0f} "
            f"| {it['forecast_beside_the_base'] / 1e6:.0f} | {(it['reserved'] + result['taken_at_first']) / 1e9:.2f} "
            f"| {it['seconds']:.1f} |"
            for it in done
        ),
        *(
            f"\nThe row of {it['precision']} is of a time when {it['until']}; it has not been measured since."
            for it in done
            if "until" in it
        ),
        *(["", *failed] if failed else []),
    ]


def _serving(result: dict[str, Any]) -> list[str]:
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


def _planner(result: dict[str, Any]) -> list[str]:
    rows = {
        "off": "all tensors, as it was foretold before they were measured",
        "off_beside": "of these, what is beside the base",
        "off_now": "all tensors, as it is foretold now",
        "off_beside_now": "of these, what is beside the base, now",
    }
    done = [it | now(it) for it in result["cells"] if "peak" in it]
    errors = {key: summary(it.get(key) for it in done) for key in rows}
    return [
        "## Does the planner tell the truth of a card?",
        "",
        f"Its forecasts against the height of what tensors held. {result.get('note', '')} Wanted: 3 % on average, 10 % at worst, never 5 % "
        "under. `python benchmarks/planner/card.py` measures it again.",
        "",
        "| forecast of | settings | mean error | furthest above | furthest below |",
        "|---|--:|--:|--:|--:|",
        *(
            f"| {what} | {errors[key]['cells']} | {errors[key]['mean']:.1%} "
            f"| {errors[key]['worst_over']:+.1%} | {errors[key]['worst_under']:+.1%} |"
            for key, what in rows.items()
            if errors[key]["cells"]
        ),
        "",
        "| setting | measured MB | forecast MB | error | error of the forecast before |",
        "|---|--:|--:|--:|--:|",
        *(map(_setting, done)),
    ]


def _setting(it: dict[str, Any]) -> str:
    said = ", ".join(f"{key} {'+'.join(value) if isinstance(value, list) else value}" for key, value in it["setting"].items())
    now = "computed otherwise by now" if it["off_now"] is None else f"{it['off_now']:+.1%}"
    then = f"{it['off']:+.1%}" if "off" in it else ""
    return f"| {it['shape']}, {it['for']}: {said} | {it['peak'] / 1e6:.0f} | {told(it).peak / 1e6:.0f} | {now} | {then} |"
