"""What serving was measured to do, as a section of docs/benchmarks.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from machine import cell, machine_line

HERE = Path(__file__).parent


def drift(values: list[float]) -> float:
    """By how much a value differs from the one before, by least squares."""
    middle = (len(values) - 1) / 2
    return sum((at - middle) * value for at, value in enumerate(values)) / sum((at - middle) ** 2 for at in range(len(values)))


def _result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / "results" / f"{name}.json").read_text())
    return found


def serving() -> list[str]:
    """Throughput beside others, what adapters cost that are not at work, and whether it holds."""
    return [*_throughput(), *_guessing(), *_switching(), *_soak()]


def _throughput() -> list[str]:
    result = _result("default")
    config = result["config"]
    lines = [
        "## How fast does it serve?",
        "",
        f"{config['requests']} requests at once over {config['adapters']} adapters, {config['prompt']} prompt and {config['new']} new "
        f"tokens each, {config['turns']} turns; every way alone on the machine in its turn. Prompts are read in that time, not counted. "
        "PEFT has all requests from the first moment, in rows of one length. `headstart bench serving` measures it again.",
        "",
        "| way | tokens a second | headstart's, mixed, is so many times as fast |",
        "|---|--:|--:|",
    ]
    lines += [
        f"| {way} | {cell(row['tokens_a_second'], '{:.0f}')} | {cell(row['ours_is_faster'])} |" for way, row in result["ways"].items()
    ]
    return [*lines, "", machine_line(result["machine"]), ""]


def _guessing() -> list[str]:
    result = _result("guessing")
    differ, families = sum(it["differ"] for it in result["families"].values()), result["families"]
    lines = [
        "## Is it faster to guess?",
        "",
        f"Validation tasks' questions ({result['tasks']} tasks of {result['questions']}), asked of shipped starts behind the tasks' own "
        "examples, which have been read before; and requests of random words under random adapters. With tokens guessed out of what a row "
        f"has read, and without, in {result['turns']} turns, in {result['dtype']}. Of the last turn's answers {differ} differ. "
        "`python benchmarks/serving/guessing.py` measures it again.",
        "",
        "| | requests at once | tokens a second | without | times as fast | tokens a pass, one request |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for family, told in families.items():
        for many, row in told["at_once"].items():
            ways = row["tokens_a_second"]
            lines.append(
                f"| {family} | {many} | {cell(ways['guessing'], '{:.0f}')} | {cell(ways['without'], '{:.0f}')} "
                f"| {cell(row['times_as_fast'])} | {format(told['tokens_a_pass'], '.1f') if many == '1' else ''} |"
            )
    return [*lines, "", machine_line(result["machine"]), ""]


def _switching() -> list[str]:
    result = _result("switching")
    lines = [
        "## What does an adapter cost that is not at work?",
        "",
        "Requests of 16 prompt tokens and one new one, one at a time; then sixteen at once, their adapters drawn by Zipf's law from a "
        "hundred, on a shelf of a thousand. `python benchmarks/serving/switching.py` measures it again.",
        "",
        "| | |",
        "|---|--:|",
    ]
    lines += [f"| a request for {way}, milliseconds | {cell(row, '{:.1f}')} |" for way, row in result["milliseconds"].items()]
    lines += [f"| tokens a second, the bank holds {way} | {cell(row, '{:.0f}')} |" for way, row in result["tokens_a_second"].items()]
    lines += [
        f"| the latter, as a share of the former | {cell(result['share_with_few'])} |",
        f"| seconds to start and to look at a thousand adapters, the base loaded | {result['seconds_to_list_a_thousand']:.1f} |",
    ]
    return [*lines, "", machine_line(result["machine"]), ""]


def _soak() -> list[str]:
    result = _result("soak")
    counts, memory = result["counts"], result["memory_mb"]
    half = memory[len(memory) // 2]
    bad = sum(n for name, n in counts.items() if name.startswith("bad"))
    jobs = sum(n for name, n in counts.items() if name.startswith("job"))
    told = [
        f"{result['minutes']:.0f} minutes of mixed traffic on the embedded base in fp32: {counts['asked']} answers checked against the",
        f"same request served alone ({result['wrong_answers']} differed), {counts['hung up']} hang-ups,",
        f"{bad} bad requests, {jobs} teaching jobs,",
        f"{counts['replaced']} adapters replaced under their name, {result['engine']['evictions']:.0f} evictions. Server errors:",
        f"{result['server_errors']}; looks at an idle engine that found something held: {result['engine']['leaks']:.0f}. Resident memory:",
        f"{memory[0]:.0f} MB at the start, {half:.0f} half-way, {memory[-1]:.0f} at the end; over its last third it moved by",
        f"{drift(memory[-len(memory) // 3 :]) * 10:+.0f} MB in five minutes.",
        *([result["note"]] if "note" in result else []),
        "`python benchmarks/serving/soak.py` does it again.",
    ]
    return ["## Does it hold?", "", " ".join(told), "", machine_line(result["machine"]), ""]
