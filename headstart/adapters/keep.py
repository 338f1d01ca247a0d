"""What was taught, onto the shelf with the facts about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from headstart import disk
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.bank import Weights
from headstart.episode import Example, told_by_all
from headstart.errors import AdapterRefused, NameRefused
from headstart.lm.load import Base
from headstart.teach import Taught
from headstart.teach.report import shown_once


def keep(
    shelf: Shelf, name: str, base: Base, examples: Sequence[Example], taught: Taught, replaces: bool, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Put what was taught on the shelf, with more facts for its record alone; the facts that `--json` prints."""
    told = taught.report
    facts: dict[str, Any] = {
        "name": name,
        "examples": len(examples),
        "precision": base.precision,
        "start": taught.beginning.name,
        "starts": dict(taught.losses),
        "glances": dict(taught.glances),
        "steps": taught.steps,
        "seconds": round(taught.seconds, 3),
        "peak_memory_bytes": taught.peak_memory_bytes,
        "scores": {way: asdict(score) for way, score in told.scores.items()} if told else {},
        "ways": {way: asdict(score) for way, score in told.ways.items()} if told else {},
        "verdict": told.verdict if told else None,
        "clear": told.clear if told else None,
        "advice": told.advice if told else None,
        "folds": told.folds if told else 0,
        "prefix": len(taught.prefix),
    }
    made_of = {"examples_hash": hash_of(examples), "start_hash": hash_of_weights(taught.beginning.weights)}
    told_alike = {"system": system} if (system := told_by_all(examples)) else {}
    record = facts | {"base": asdict(key_of(base))} | made_of | told_alike | {"versions": versions()} | dict(more or {})
    path = shelf.write(name, taught.weights, record, base.layers, taught.prefix, replaces)
    held_out = [asdict(answer) for answer in told.answers] if told else []
    return facts | {"path": str(path), "adapter_bytes": disk.size(path), "held_out": held_out, "shown_once": shown_once(examples)}


def standing(shelf: Shelf, name: str, told: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record of what lies under a name, where it says all of this; None: nothing does, or by now it is another's.

    Minutes go by between two writes of one adapter, in which it may be removed or renamed, and another take its name.
    """
    try:
        record = shelf.record(name) if name in shelf.names() else {}
    except (AdapterRefused, NameRefused):
        # What cannot be read, or is just being removed, is nobody's; whoever made it may be to make it again.
        return None
    return record if record and all(record.get(key) == value for key, value in told.items()) else None


def hash_of(examples: Sequence[Example]) -> str:
    """SHA-256 of the examples, whatever file shape they came in."""
    return hashlib.sha256(json.dumps([e.messages for e in examples], ensure_ascii=False).encode()).hexdigest()


def hash_of_weights(weights: Weights | None) -> str | None:
    """SHA-256 of an adapter's weights by name: two starts of one name are told apart. Of a blank LoRA, none."""
    if weights is None:
        return None
    told = hashlib.sha256()
    for name, w in sorted(weights.items()):
        told.update(name.encode() + w.float().cpu().numpy().tobytes())
    return told.hexdigest()


def versions() -> dict[str, str]:
    """The packages that a result depends on."""
    return {package: version(package) for package in ("headstart", "torch", "transformers")}
