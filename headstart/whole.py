"""Whether a folder holds all of a model: what a download that was cut short, or one of the config alone, leaves behind looks like one."""

from __future__ import annotations

import json
from pathlib import Path

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
"""Files one of which a tokenizer has."""
_CONFIG, _WEIGHTS = "config.json", "model.safetensors"
_INDEX = f"{_WEIGHTS}.index.json"


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
    try:
        return [shard for shard in shards(folder) if not (folder / shard).is_file()]
    except ValueError:
        return [_INDEX]


def shards(folder: Path) -> list[str]:
    """Files that hold a model's weights: those that its index names, else the one that there is; others may lie beside them.

    Raises:
        ValueError: the index names none.
    """
    index = folder / _INDEX
    if not index.is_file():
        return [_WEIGHTS]
    try:
        return sorted({str(shard) for shard in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()}) or [_WEIGHTS]
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"'{index}' names no weights") from error
