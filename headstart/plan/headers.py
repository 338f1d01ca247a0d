"""What weight files say of themselves in their first bytes; no weight is read."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, final

from headstart.errors import BaseRefused

_MOST = 100_000_000
"""Bytes that a header may have; what claims more is no header."""
_SIMPLE = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _LIST = 8, 9
_RENAMED = {
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "context_length": "max_position_embeddings",
    "attention.sliding_window": "sliding_window",
}
"""Of GGUF, to transformers' words."""
_GPT2 = {
    "embedding_length": "n_embd",
    "feed_forward_length": "n_inner",
    "block_count": "n_layer",
    "attention.head_count": "n_head",
    "context_length": "n_positions",
}
"""To those of GPT-2."""


@final
@dataclass(frozen=True)
class Header:
    """The sum of a model's tensors."""

    numbers: int
    stored: int
    """Bytes that they take in the files."""
    kinds: tuple[str, ...]
    """Their formats."""


def safetensors(paths: Sequence[Path]) -> Header:
    """All shards of a model.

    Raises:
        BaseRefused: one of them has no header.
    """
    numbers, stored, kinds = 0, 0, set()
    for path in paths:
        for many, size, kind in _tensors(path):
            numbers, stored = numbers + many, stored + size
            kinds.add(kind)
    return Header(numbers, stored, tuple(sorted(kinds)))


def _tensors(path: Path) -> list[tuple[int, int, str]]:
    """Of each: how many numbers, in how many bytes, in which format."""
    try:
        rows = [it for name, it in _json_header(path).items() if name != "__metadata__"]
        return [(math.prod(it["shape"]), it["data_offsets"][1] - it["data_offsets"][0], str(it["dtype"])) for it in rows]
    except (AttributeError, LookupError, TypeError) as error:
        raise BaseRefused(f"The header of '{path}' names tensors that are none ({error!r}): fetch it again.") from error


def _json_header(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > min(_MOST, path.stat().st_size):
                raise ValueError("its header would be longer than the file")
            found: dict[str, Any] = json.loads(file.read(size))
        return found
    except (OSError, ValueError, struct.error) as error:
        raise BaseRefused(f"'{path}' has no safetensors header ({error}): it may be truncated; fetch it again.") from error


def gguf(path: Path) -> tuple[dict[str, Any], Header]:
    """A GGUF file's settings as a config in transformers' words, and the sum of its tensors.

    Raises:
        BaseRefused: no GGUF file, or a damaged one.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise BaseRefused(f"'{path}' is not a GGUF file, whatever its name says.")
            version, tensors, pairs = (_read(file, kind) for kind in ("<I", "<Q", "<Q"))
            if version < 2 or max(tensors, pairs) > _MOST:
                raise ValueError(f"version {version}, {tensors} tensors")
            said = dict(_pair(file) for _ in range(pairs))
            shapes = dict(_tensor(file) for _ in range(tensors))
    except (OSError, ValueError, KeyError, struct.error, UnicodeDecodeError) as error:
        raise BaseRefused(f"The header of '{path}' cannot be read ({error}): it may be truncated.") from error
    numbers = sum(math.prod(shape) for shape, _ in shapes.values())
    kinds = tuple(sorted({f"ggml type {kind}" for _, kind in shapes.values()}))
    return _config(said, shapes), Header(numbers, path.stat().st_size, kinds)


def _config(said: Mapping[str, Any], shapes: Mapping[str, tuple[tuple[int, ...], int]]) -> dict[str, Any]:
    family = str(said.get("general.architecture"))
    config: dict[str, Any] = {"model_type": family, "tie_word_embeddings": "output.weight" not in shapes}
    renamed = _GPT2 if family == "gpt2" else _RENAMED
    config |= {word: said[f"{family}.{key}"] for key, word in renamed.items() if f"{family}.{key}" in said}
    if "token_embd.weight" in shapes:
        config["vocab_size"] = shapes["token_embd.weight"][0][-1]
    if any(name.startswith("blk.0.ffn_gate_inp") for name in shapes):
        config["num_experts"] = True
    return config


def _pair(file: BinaryIO) -> tuple[str, Any]:
    return _text(file), _value(file, _read(file, "<I"))


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _TEXT:
        return _text(file)
    if kind == _LIST:
        inner, count = _read(file, "<I"), _read(file, "<Q")
        if count > _MOST:
            raise ValueError(f"a list of {count}")
        if inner in (_TEXT, _LIST):
            return [_value(file, inner) for _ in range(count)]
        return file.read(count * struct.calcsize(_SIMPLE[inner]))
    return _read(file, _SIMPLE[kind])


def _tensor(file: BinaryIO) -> tuple[str, tuple[tuple[int, ...], int]]:
    name, axes = _text(file), _read(file, "<I")
    shape = tuple(_read(file, "<Q") for _ in range(axes))
    kind, _ = _read(file, "<I"), _read(file, "<Q")
    return name, (shape, kind)


def _text(file: BinaryIO) -> str:
    size = _read(file, "<Q")
    if size > _MOST:
        raise ValueError(f"a text of {size} bytes")
    return file.read(size).decode("utf-8", "replace")


def _read(file: BinaryIO, kind: str) -> Any:
    return struct.unpack(kind, file.read(struct.calcsize(kind)))[0]
