"""What other engines say under an adapter, family by family, as a section of docs/benchmarks.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from machine import machine_line

HERE = Path(__file__).parent
NAMES = {
    "llama": "Llama",
    "mistral": "Mistral",
    "qwen2": "Qwen 2 and 2.5",
    "qwen3": "Qwen 3",
    "gemma2": "Gemma 2",
    "gemma3_text": "Gemma 3, text",
    "phi3": "Phi 3",
    "gpt_neox": "GPT-NeoX, Pythia",
    "smollm3": "SmolLM 3",
    "gpt2": "GPT-2",
}


def elsewhere() -> list[str]:
    """Engine by family: apart under the adapter, and apart bare; a cell that was not run says why."""
    result = json.loads((HERE / "results" / "default.json").read_text())
    families, config = result["families"], result["config"]
    engines = list(next(iter(families.values())))
    lines = [
        "## Does an adapter say the same elsewhere?",
        "",
        "A tiny base of every family with random weights, norms and biases, and an adapter taught on every linear of every layer for "
        f"{config['steps']} steps; {len(config['seeds'])} seeds of both, {_probes(families)} probes. Mean |delta log p|, in nats, over the "
        "forty likeliest tokens: under the adapter / between the bare bases, and what the adapter itself moves. llama-server's bases and "
        "adapters are converted apart from each other; it keeps its cache in fp16. In the last column the rows of q and k (of GPT-NeoX: "
        "of the fused linear) are deliberately left in the order that they have here. `headstart bench elsewhere` measures it again.",
        "",
        f"| family | the adapter moves | {' | '.join(engines)} |",
        f"|---|--:|{'---|' * len(engines)}",
        *(_row(family, cells) for family, cells in families.items()),
        "",
        *(f"{engine}: not run, as {why}." for engine, why in config["not_run"].items()),
        "",
        f"llama-server {result['llama-server'] or 'was not there'}. {machine_line(result['machine'])}",
        "",
    ]
    return lines


def _probes(families: dict[str, Any]) -> int:
    return next(int(cell["probes"]) for cells in families.values() for cell in cells.values() if "probes" in cell)


def _row(family: str, cells: dict[str, Any]) -> str:
    moved = next((f"{cell['moved']['mean']:.2f}" for cell in cells.values() if "moved" in cell), "")
    return f"| {NAMES.get(family, family)} | {moved} | {' | '.join(_cell(cell) for cell in cells.values())} |"


def _cell(cell: dict[str, Any]) -> str:
    if "none" in cell:
        return str(cell["none"]).rstrip(".")
    verdict = "the same" if all(cell["same"]) else "**not the same**" if not any(cell["same"]) else f"the same {sum(cell['same'])} times"
    return f"{cell['adapter']['mean']:.4f} / {cell['base']['mean']:.4f}, {verdict}"
