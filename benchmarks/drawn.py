"""Bases of any size with random weights, packed or not, drawn where they stand: never more of one in full than its largest tensor."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from headstart.lm import attention, quantised
from headstart.lm.chat import Chat
from headstart.lm.load import Base, load
from headstart.lm.tiny import tiny_tokenizer

_STD = 0.02


def shipped(name: str) -> dict[str, Any]:
    """The config of a base by its name or the end of it, as `headstart plan` knows it; or one that lies in a file."""
    if name.endswith(".json"):
        told: dict[str, Any] = json.loads(Path(name).read_text(encoding="utf-8"))
        return told
    rows = json.loads((files("headstart.plan") / "bases.json").read_text(encoding="utf-8"))["bases"]
    found: list[dict[str, Any]] = [row["config"] for row in rows if any(it.lower().endswith(name.lower()) for it in row["names"])]
    if not found:
        raise LookupError(f"'{name}' is no base whose shape the planner ships")
    return found[0]


def base_of(config: dict[str, Any] | None, precision: str) -> Base:
    """A shape with random weights; none: the embedded base, through the real loader."""
    if config is not None:
        return drawn(config, precision)
    dtype, bits = quantised.PRECISIONS[precision]
    return load(None, dtype, bits=bits)


def drawn(config: dict[str, Any], precision: str = "bf16", device: torch.device | str = "cpu") -> Base:
    """A base of a config, with a tokenizer of bytes, its weights drawn where it is to stand and packed one linear at a time.

    Args:
        config: as in a `config.json`, `model_type` included.
        precision: of `quantised.PRECISIONS`; what 4 and 8 bits compute in is bf16.
        device: "cpu" or "cuda".
    """
    dtype, bits = quantised.PRECISIONS[precision]
    rng = torch.Generator(device).manual_seed(0)
    named = AutoConfig.for_model(**{**config, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0})
    with init_empty_weights(include_buffers=False):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(named, dtype=dtype or torch.bfloat16)
    # Drawn one by one, what is tied would come apart.
    model.tie_weights()
    if bits:
        quantised.config_of(bits, torch.bfloat16)
        head = model.get_output_embeddings()
        linears = [(n, m) for n, m in model.named_modules() if isinstance(m, (nn.Linear, Conv1D)) and m is not head]
        for name, linear in linears:
            model.set_submodule(name, _packed(linear, bits, rng, device))
    _fill(model, rng, device)
    model = attention.settle(quantised.settle(model.requires_grad_(False).eval()))
    return Base("random", model, Chat(tiny_tokenizer(), model.config.max_position_embeddings), "0")


def _packed(linear: nn.Module, bits: int, rng: torch.Generator, device: torch.device | str) -> nn.Module:
    """A packed linear in the place of an empty one."""
    import bitsandbytes.nn as by_bits
    from bitsandbytes.functional import int8_vectorwise_quant

    wide_out, wide_in = linear.weight.shape if isinstance(linear, nn.Linear) else reversed(linear.weight.shape)
    weight, biased = _normal((wide_out, wide_in), torch.bfloat16, rng, device), linear.bias is not None
    if bits == 4:
        small = by_bits.Linear4bit(wide_in, wide_out, biased, torch.bfloat16, quant_type="nf4", device="meta")
        small.weight = by_bits.Params4bit(weight, requires_grad=False, quant_type="nf4", module=small).to(device)
    else:
        small = by_bits.Linear8bitLt(wide_in, wide_out, biased, has_fp16_weights=False, threshold=quantised.OUTLIER, device="meta")
        few, scales, _ = int8_vectorwise_quant(weight.half())
        small.weight = by_bits.Int8Params(few, requires_grad=False, has_fp16_weights=False, CB=few, SCB=scales)
    if biased:
        small.bias = linear.bias
    return small


def _fill(model: nn.Module, rng: torch.Generator, device: torch.device | str) -> None:
    """Draw what is empty yet: norms are ones, biases zeros; what is tied stays so."""
    made: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, it in module.named_parameters(recurse=False):
            if it.is_meta and id(it) not in made:
                made[id(it)] = nn.Parameter(_value(it, name, rng, device), requires_grad=False)
            if it.is_meta:
                setattr(module, name, made[id(it)])
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(device))


def _value(it: nn.Parameter, name: str, rng: torch.Generator, device: torch.device | str) -> Tensor:
    if it.dim() > 1:
        return _normal(tuple(it.shape), it.dtype, rng, device)
    return torch.zeros(it.shape, dtype=it.dtype, device=device) if name == "bias" else torch.ones(it.shape, dtype=it.dtype, device=device)


def _normal(shape: tuple[int, ...], dtype: torch.dtype, rng: torch.Generator, device: torch.device | str) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=device).normal_(std=_STD, generator=rng)
