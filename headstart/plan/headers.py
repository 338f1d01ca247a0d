"""What weight files say of themselves in their first bytes; no weight is read."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError, safe_open

from headstart.errors import BaseRefused

_MOST = 100_000_000
"""Tensors, settings, or bytes and items of one, that a GGUF file may have; what claims more is none."""
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


def safetensors(paths: Sequence[Path]) -> int:
    """How many numbers all shards of a model hold.

    Raises:
        BaseRefused: one of them has no header.
    """
    return sum(map(_numbers, paths))


def _numbers(path: Path) -> int:
    try:
        with safe_open(path, "np") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - it cannot be walked.
    except (OSError, SafetensorError) as error:
        raise BaseRefused(f"'{path}' has no safetensors header ({error}): it may be truncated; fetch it again.") from error


def gguf(path: Path) -> tuple[dict[str, Any], int]:
    """A GGUF file's settings as a config in transformers' words, and how many numbers its tensors hold.

    Raises:
        BaseRefused: no GGUF file, a damaged one, or an adapter's.
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
    except (OSError, ValueError, KeyError, RecursionError, struct.error, UnicodeDecodeError) as error:
        raise BaseRefused(f"The header of '{path}' cannot be read ({error}): it may be truncated.") from error
    if said.get("general.type") == "adapter":
        raise BaseRefused(f"'{path}' is an adapter, not a base: give the base that it was made for.")
    return _config(said, shapes), sum(map(math.prod, shapes.values()))


def _config(said: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    family = str(said.get("general.architecture"))
    config: dict[str, Any] = {"model_type": family, "tie_word_embeddings": "output.weight" not in shapes}
    renamed = _GPT2 if family == "gpt2" else _RENAMED
    config |= {word: said[f"{family}.{key}"] for key, word in renamed.items() if f"{family}.{key}" in said}
    if "token_embd.weight" in shapes:
        config["vocab_size"] = shapes["token_embd.weight"][-1]
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


def _tensor(file: BinaryIO) -> tuple[str, tuple[int, ...]]:
    """Its name and shape; its kind and place are passed over."""
    name, axes = _text(file), _read(file, "<I")
    shape = tuple(_read(file, "<Q") for _ in range(axes))
    _read(file, "<I"), _read(file, "<Q")
    return name, shape


def _text(file: BinaryIO) -> str:
    size = _read(file, "<Q")
    if size > _MOST:
        raise ValueError(f"a text of {size} bytes")
    return file.read(size).decode("utf-8", "replace")


def _read(file: BinaryIO, kind: str) -> Any:
    return struct.unpack(kind, file.read(struct.calcsize(kind)))[0]
