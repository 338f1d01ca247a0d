"""Attention on cards that have no fused kernel for groups of heads: fp32 on any, and fp16 on those before Ampere.

transformers hands keys and values there in their groups, and of PyTorch's kernels the one that is left keeps the whole square of every
head for the backward pass: 0.9 GB of a base of 135 million weights and a conversation of 900 tokens. Laid out for every head, keys and
values go through the memory-efficient kernel, which keeps none of it.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

SPREAD = "headstart"
"""As transformers' configs call it."""
_AMPERE = (8, 0)


def spread(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **more: Any) -> tuple[Tensor, None]:
    """transformers' own, keys and values laid out for every head where it would hand over groups.

    Args:
        module: of one layer's attention.
        query: (rows, heads, new, head).
        key: (rows, groups, length, head).
        value: the same.
        mask: with one, or for a single token, transformers knows by itself what to do.
        **more: as transformers has it.
    """
    kind: Any = module
    if mask is None and query.shape[2] > 1:
        times = query.shape[1] // key.shape[1]
        key, value = repeat_kv(key, times), repeat_kv(value, times)
        # Without the module's number of groups, as they would be laid out a second time.
        kind = SimpleNamespace(is_causal=getattr(module, "is_causal", True))
    read: tuple[Tensor, None] = sdpa_attention_forward(kind, query, key, value, mask, **more)
    return read


def settle(model: PreTrainedModel) -> PreTrainedModel:
    """Have a model's attention go through a fused kernel, whatever the card; elsewhere, and where it is not fused anyway, it stays."""
    if model.device.type == "cuda" and model.config._attn_implementation == "sdpa" and not _takes_groups(model):
        model.set_attn_implementation(SPREAD)
    return model


def _takes_groups(model: PreTrainedModel) -> bool:
    """Whether flash attention is there, which alone takes them in every PyTorch that we know."""
    return model.dtype != torch.float32 and torch.cuda.get_device_capability(model.device) >= _AMPERE


AttentionInterface.register(SPREAD, spread)
AttentionMaskInterface.register(SPREAD, sdpa_mask)
