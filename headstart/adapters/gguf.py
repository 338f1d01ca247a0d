"""A LoRA as llama.cpp and Ollama read it: one GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import torch

from headstart.adapters.peft import level
from headstart.bank import Weights
from headstart.errors import AdapterRefused

_FAMILIES = {
    "llama": "llama",
    "mistral": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
    "smollm3": "smollm3",
}
"""`model_type` of transformers -> llama.cpp's architecture, for families whose linears are one to one."""
_TURNED = {"llama"}
"""Architectures whose q and k llama.cpp keeps with the two halves of every head interleaved."""


def write(path: Path, weights: Weights, config: Any) -> None:
    """Write an adapter.

    Args:
        path: of the file to make.
        weights: `site.lora_A` (rank, width_in) and `site.lora_B` (width_out, rank), scale folded into B.
        config: the base's, of transformers.

    Raises:
        AdapterRefused: llama.cpp would read this family, or one of the sites, wrongly or not at all.
    """
    kind = config.get_text_config().model_type
    if kind not in _FAMILIES:
        raise AdapterRefused(f"Adapters of '{kind}' bases cannot be written as GGUF; of {', '.join(sorted(_FAMILIES))} they can.")
    family = _FAMILIES[kind]
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, family.upper()), config.get_text_config().num_hidden_layers)
    weights = level(weights)
    writer = gguf.GGUFWriter(path, family)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    # The scale is folded into B: alpha over rank has to be one.
    writer.add_float32("adapter.lora.alpha", float(next(w.shape[0] for name, w in weights.items() if name.endswith("A"))))
    for name, w in weights.items():
        site, _, side = name.rpartition(".")
        there = names.get_name(f"{site}.weight", try_suffixes=(".weight",))
        if there is None:
            raise AdapterRefused(f"llama.cpp has no place for a LoRA on '{site}'.")
        if family in _TURNED and side == "lora_B" and site.endswith(("q_proj", "k_proj")):
            w = _turned(w, config.num_attention_heads if site.endswith("q_proj") else config.num_key_value_heads)
        writer.add_tensor(f"{there}.{side.lower()}", w.detach().to(torch.float16).cpu().contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _turned(b: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of (width_out, rank) in llama.cpp's order, as its own converter puts those of the base's q and k."""
    out, rank = b.shape
    return b.reshape(heads, 2, out // heads // 2, rank).swapaxes(1, 2).reshape(out, rank)
