"""Whether a folder holds all of a model: what a download that was cut short, or one of the config alone, leaves behind looks like one."""

from __future__ import annotations

import json
from pathlib import Path

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
"""Files one of which a tokenizer has."""
_CONFIG, _WEIGHTS = "config.json", "model.safetensors"


def lacking(folder: Path) -> list[str]:
    """Files that a folder still needs before a base can be loaded from it: config, tokenizer, and weights with all their shards.

    A link into a cache that leads nowhere counts as missing.
    """
    missing = [_CONFIG] if not (folder / _CONFIG).is_file() else []
    if not any((folder / file).is_file() for file in TOKENIZERS):
        missing.append("a tokenizer")
    if not (folder / _WEIGHTS).is_file():
        missing += _shards_lacking(folder)
    return missing


def _shards_lacking(folder: Path) -> list[str]:
    """Weight files that the index names and that are not there; without an index the one file that there would be."""
    index = folder / f"{_WEIGHTS}.index.json"
    if not index.is_file():
        return [_WEIGHTS]
    try:
        shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return [index.name]
    return [shard for shard in shards if not (folder / str(shard)).is_file()] if shards else [_WEIGHTS]
