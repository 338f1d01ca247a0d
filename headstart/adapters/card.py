"""The model card: what an adapter is, from what, and how good it was when nobody was looking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def render(name: str, record: Mapping[str, Any]) -> str:
    """The card's Markdown, front matter included.

    Args:
        name: the adapter's.
        record: what `headstart.json` holds.
    """
    base = record["base"]["name"]
    scores = record.get("scores") or {}
    rows = [f"| {way} | {_share(score['exact_match'])} | {score['loss']:.3f} |" for way, score in scores.items() if score]
    table = ["", "| | exact match | loss |", "|---|--:|--:|", *rows] if rows else []
    return "\n".join(
        [
            "---",
            f"base_model: {json.dumps(base)}",
            "library_name: peft",
            "tags: [lora, headstart]",
            "---",
            "",
            f"# {name}",
            "",
            f"A LoRA for `{base}`, taught from {record.get('examples', '?')} examples in {record.get('seconds', 0):.1f} s "
            f"({record.get('steps', '?')} steps, start: {record.get('start', 'none')}).",
            *(["", f"Held-out over the examples it was taught from ({record.get('folds', '?')} folds):", *table] if table else []),
            "",
            f"- examples: SHA-256 `{record.get('examples_hash', '?')}`",
            f"- base: SHA-256 `{record['base']['content']}`",
            f"- peak memory while adapting: {record.get('peak_memory_bytes', 0) / 1e6:.0f} MB",
            f"- made with: {', '.join(f'{k} {v}' for k, v in record.get('versions', {}).items())}",
            "",
            "```python",
            "from peft import PeftModel",
            "from transformers import AutoModelForCausalLM",
            "",
            f'model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("{base}"), "path/to/{name}")',
            "```",
            "",
        ]
    )


def render_start(name: str, record: Mapping[str, Any]) -> str:
    """A start's card: what it was trained on, how, and how well that did."""
    base, score = record["base"]["name"], record.get("score") or {}
    found = (
        f"{score['metric']} {100 * score['mean']:.0f} % ({100 * score['low']:.0f} to {100 * score['high']:.0f})" if score else "not scored"
    )
    return "\n".join(
        [
            "---",
            f"base_model: {json.dumps(base)}",
            "library_name: peft",
            "tags: [lora, headstart, meta-learning]",
            "---",
            "",
            f"# {name}",
            "",
            f"A start for `{base}`: a LoRA to begin from when a new task is to be learned from a few examples. Its B is not zero: the base "
            "that wears it is already another.",
            "",
            f"- meta-trained on: {record.get('about', '?')}",
            f"- {record.get('meta_steps', '?')} meta-steps in {record.get('seconds', 0) / 60:.0f} minutes",
            f"- tasks that training never showed, as the run judged them: {found}",
            f"- to adapt: {record.get('steps') or 'the default number of'} steps, rate {record.get('rate') or 'by default'}",
            *([f"- licence: {record['licence']}"] if record.get("licence") else []),
            f"- base: SHA-256 `{record['base']['content']}`",
            f"- made with: {', '.join(f'{k} {v}' for k, v in record.get('versions', {}).items())}",
            "",
        ]
    )


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"
