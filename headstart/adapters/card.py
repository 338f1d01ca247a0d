"""The model card: what an adapter is, from what, and how good it was when nobody was looking."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

LICENCES = {"HuggingFaceTB/SmolLM2-135M-Instruct": "Apache-2.0"}
"""Of bases, where it is known without asking."""
_COMMON = frozenset(
    "apache-2.0 mit isc unlicense bsd-2-clause bsd-3-clause mpl-2.0 gpl-2.0 gpl-3.0 lgpl-2.1 lgpl-3.0 agpl-3.0 cc0-1.0 cc-by-3.0 cc-by-4.0 "
    "cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-4.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 odbl odc-by pddl".split()
)
"""Licences by the names that the hub has for them; it refuses a card with any other."""
_TITLE = re.compile(r"\A((?:---\n(?:(?!---\n).*\n)*---\n)?\n*)# [\w.-]+$", re.ASCII | re.MULTILINE)
"""Behind the front matter, as `render` has it; a title of several words is its writer's own."""
_WAYS = {"prompt": "base, the examples in the prompt", "weights": "adapter, its weights alone (what PEFT gives)"}


def render(name: str, record: Mapping[str, Any], repo: str | None = None) -> str:
    """The card's Markdown, front matter included, of an adapter or a start: what the record knows, and nothing else.

    Args:
        name: its name.
        record: what `headstart.json` holds; at least the base's name.
        repo: where on the hub it is to be; None: nowhere.
    """
    if record.get("kind") == "start":
        return _start(name, record, repo)
    about = [str(record["about"]), ""] if record.get("about") else []
    blocks = [*_front(record, "lora, headstart"), "", f"# {name}", "", *about, _made(record), *_kept(record), *_scores(record), ""]
    return "\n".join([*blocks, *_facts(record, repo is not None), "", *_uses(name, record, repo), ""])


def titled(name: str, text: str) -> str:
    """A card as it was written, under the name that its adapter has now."""
    return _TITLE.sub(rf"\g<1># {name}", text)


def _start(name: str, record: Mapping[str, Any], repo: str | None) -> str:
    """A start's card: what it was trained on, how, and how well that did."""
    base, score, steps = record["base"]["name"], record.get("score") or {}, record.get("steps")
    found = (
        f"{score['metric']} {100 * score['mean']:.0f} % ({100 * max(0.0, score['low']):.0f} to {100 * min(1.0, score['high']):.0f})"
        if score
        else "not scored"
    )
    pulled = ["", *_fenced("console", f"$ headstart adapters pull {repo}", f"$ headstart adapt EXAMPLES --name NAME --start {name}")]
    return "\n".join(
        [
            *_front(record, "lora, headstart, meta-learning"),
            "",
            f"# {name}",
            "",
            f"A start for `{base}`: a LoRA to begin from when a new task is to be learned from a few examples. Its B is not zero: the base "
            "that wears it is already another.",
            "",
            f"- meta-trained on: {record.get('about', '?')}",
            *([f"- by: {record['by']}"] if record.get("by") else []),
            f"- {record.get('meta_steps', '?')} meta-steps in {(record.get('seconds') or 0) / 60:.0f} minutes",
            f"- tasks that training never showed, as the run judged them: {found}",
            f"- to adapt: {'the default number of' if steps is None else steps} steps, rate {record.get('rate') or 'by default'}",
            *([f"- licence: {record['licence']}"] if record.get("licence") else []),
            *_base_licence(record, repo is not None),
            *_ends(record),
            *(pulled if repo else []),
            "",
        ]
    )


def _front(record: Mapping[str, Any], tags: str) -> list[str]:
    """The front matter; a base that is on its maker's disk alone cannot be named there."""
    base, licence = record["base"], str(record.get("licence") or "").lower().replace(" ", "-")
    named = [] if base.get("local") else [f"base_model: {json.dumps(base['name'])}"]
    return ["---", *named, "library_name: peft", *([f"license: {licence}"] if licence in _COMMON else []), f"tags: [{tags}]", "---"]


def _made(record: Mapping[str, Any]) -> str:
    where = ", a base that its maker has as a file" if record["base"].get("local") else ""
    told = f"A LoRA for `{record['base']['name']}`{where}"
    if record.get("examples") is None:
        return f"{told}."
    return (
        f"{told}, taught from {record['examples']} examples in {record.get('seconds') or 0:.1f} s "
        f"({record.get('steps', '?')} steps, start: {record.get('start', 'none')})."
    )


def _kept(record: Mapping[str, Any]) -> list[str]:
    told = []
    if record.get("prefix"):
        told += ["", f"It keeps {record['prefix']} examples in front of every prompt, in `prefix.jsonl`: without them it answers worse."]
    if record.get("system"):
        told += ["", "It was taught under a system message, `system` in `headstart.json`: without it it answers worse."]
    return told


def _scores(record: Mapping[str, Any]) -> list[str]:
    scores = {way: score for way, score in (record.get("scores") or {}).items() if score}
    if record.get("prefix") and (alone := (record.get("ways") or {}).get("weights")):
        scores["weights"] = alone
    if not scores:
        return []
    head = ["", f"Held-out over the examples it was taught from ({record.get('folds', '?')} folds):", ""]
    rows = [f"| {_WAYS.get(way, way)} | {100 * score['exact_match']:.0f} % | {score['loss']:.3f} |" for way, score in scores.items()]
    return [*head, "| | exact match | loss |", "|---|--:|--:|", *rows, *(["", record["advice"]] if record.get("advice") else [])]


def _facts(record: Mapping[str, Any], public: bool) -> list[str]:
    """A list; what is published says also which licences it does not know."""
    licence, start, memory = record.get("licence"), record.get("start"), record.get("peak_memory_bytes")
    return [
        *([f"- taught on the base in {record['precision']}"] if record.get("precision") else []),
        *([f"- examples: SHA-256 `{record['examples_hash']}`"] if record.get("examples_hash") else []),
        *([f"- peak memory while adapting: {memory / 1e6:.0f} MB"] if memory else []),
        *_base_licence(record, public),
        *([f"- licence of the start `{start}`: {record['start_licence']}"] if record.get("start_licence") else []),
        *([f"- licence of the examples and of this adapter: {licence or 'not stated'}"] if licence or public else []),
        *_ends(record),
    ]


def _base_licence(record: Mapping[str, Any], public: bool) -> list[str]:
    licence = record.get("base_licence") or LICENCES.get(record["base"]["name"])
    return [f"- licence of the base: {licence or 'not known'}"] if licence or public else []


def _ends(record: Mapping[str, Any]) -> list[str]:
    content, versions = record["base"].get("content"), record.get("versions") or {}
    return [
        *([f"- base: SHA-256 `{content}`"] if content else []),
        *([f"- made with: {', '.join(f'{k} {v}' for k, v in versions.items())}"] if versions else []),
    ]


def _uses(name: str, record: Mapping[str, Any], repo: str | None) -> list[str]:
    base = ("path/to/" if record["base"].get("local") else "") + record["base"]["name"]
    folder, _, file = base.rpartition("/")
    said = partial(json.dumps, ensure_ascii=False)
    named = f"{said(folder or '.')}, gguf_file={said(file)}" if file.endswith(".gguf") else said(base)
    code = [
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM",
        "",
        f"base = AutoModelForCausalLM.from_pretrained({named})",
        f'model = PeftModel.from_pretrained(base, "{repo or f"path/to/{name}"}")',
    ]
    pulled = (
        [*_fenced("console", f"$ headstart adapters pull {repo}", f"$ headstart ask --adapter {name} 'a question'"), ""] if repo else []
    )
    return [*pulled, *_fenced("python", *code)]


def _fenced(language: str, *lines: str) -> list[str]:
    return [f"```{language}", *lines, "```"]
