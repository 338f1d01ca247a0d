"""A LoRA as llama.cpp and Ollama read it: one GGUF file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import torch

from headstart.adapters.peft import halves, level, rank_of
from headstart.bank import Weights, sites_of
from headstart.errors import AdapterRefused

_APART = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "llama": ("llama", _APART),
    "mistral": ("llama", _APART),
    "qwen2": ("qwen2", _APART),
    "qwen3": ("qwen3", _APART),
    "gemma2": ("gemma2", _APART),
    "gemma3_text": ("gemma3", _APART),
    "smollm3": ("smollm3", _APART),
    "phi3": ("phi3", ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")),
    "gpt_neox": ("gptneox", ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")),
}
"""`model_type` of transformers -> llama.cpp's architecture, and the linears that it keeps one to one, fused ones as they are."""
_TURNED = {"llama", "smollm3"}
"""Architectures whose q and k llama.cpp keeps with the two halves of every head interleaved."""
_HEAD_BY_HEAD = "query_key_value"
"""The fused linear whose rows are q, k and v of one head after the other here; llama.cpp keeps all q, then all k, then all v."""


def write(path: Path, weights: Weights, config: Any) -> None:
    """Write an adapter.

    Args:
        path: of the file to make.
        weights: `site.lora_A` (rank, width_in) and `site.lora_B` (width_out, rank), scale folded into B.
        config: the base's, of transformers.

    Raises:
        AdapterRefused: llama.cpp would read this family, or one of the sites, wrongly or not at all; or a weight is not finite in fp16.
    """
    family, config = check(config), config.get_text_config()
    there = _places(sites_of(weights), config)
    weights = halves(level(weights))
    writer = gguf.GGUFWriter(path, family)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    # The scale is folded into B: alpha over rank has to be one.
    writer.add_float32("adapter.lora.alpha", float(rank_of(weights)))
    for name, w in weights.items():
        site, _, side = name.rpartition(".")
        w = _in_their_order(w, site, family, config) if side == "lora_B" else w
        writer.add_tensor(f"{there[site]}.{side.lower()}", w.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def check(config: Any) -> str:
    """llama.cpp's name for a base's architecture.

    Raises:
        AdapterRefused: llama.cpp would read adapters of this family wrongly or not at all.
    """
    kind = config.get_text_config().model_type
    if kind not in _FAMILIES:
        raise AdapterRefused(f"Adapters of '{kind}' bases cannot be written as GGUF; of {', '.join(sorted(_FAMILIES))} they can.")
    return _FAMILIES[kind][0]


def _places(sites: Sequence[str], config: Any) -> dict[str, str]:
    """Site -> the name of its weight in llama.cpp.

    Raises:
        AdapterRefused: it has none; all such sites, and the linears that work.
    """
    family, linears = _FAMILIES[config.model_type]
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, family.upper()), config.num_hidden_layers)
    there = {site: names.get_name(f"{site}.weight", try_suffixes=(".weight",)) for site in sites if site.rpartition(".")[2] in linears}
    lost = [site for site in sites if there.get(site) is None]
    if lost:
        shown = ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")
        raise AdapterRefused(
            f"llama.cpp has no place for a LoRA on {shown}: of {config.model_type} bases it has one for {', '.join(linears)}, "
            f"in layers 0 to {config.num_hidden_layers - 1}."
        )
    return there


def _in_their_order(b: torch.Tensor, site: str, family: str, config: Any) -> torch.Tensor:
    """Rows of a lora_B in the order in which llama.cpp's own converter puts those of the base's weight."""
    part = site.rpartition(".")[2]
    if family in _TURNED and part in ("q_proj", "k_proj"):
        return _turned(b, config.num_attention_heads if part == "q_proj" else config.num_key_value_heads)
    return _grouped(b, config.num_attention_heads) if part == _HEAD_BY_HEAD else b


def _turned(b: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of (width_out, rank) with the two halves of every head interleaved."""
    out, rank = b.shape
    return b.reshape(heads, 2, out // heads // 2, rank).swapaxes(1, 2).reshape(out, rank)


def _grouped(b: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of (width_out, rank), q, k and v of every head in turn, as all q, all k and all v."""
    out, rank = b.shape
    return b.reshape(heads, 3, out // heads // 3, rank).swapaxes(0, 1).reshape(out, rank)
