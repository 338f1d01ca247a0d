"""Tiny bases of families that differ from Llama in more than names, with random weights."""

from __future__ import annotations

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from headstart.lm.tiny import ROPE, VOCABULARY

_OLD: dict[str, object] = {"n_embd": 32, "n_layer": 4, "n_head": 4, "rotary_dim": 4, "n_positions": 512, "vocab_size": VOCABULARY}
_EXPERTS: dict[str, object] = ROPE | {"num_local_experts": 4, "num_experts_per_tok": 2}
_LINEAR: dict[str, object] = ROPE | {
    "layer_types": ["linear_attention", "full_attention"] * 2,
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
_EYES: dict[str, object] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "image_size": 16,
    "patch_size": 8,
}

TUPLES: dict[str, dict[str, object]] = {
    "falcon": {name: size for name, size in ROPE.items() if name != "head_dim"} | {"new_decoder_architecture": True, "num_kv_heads": 2},
    "gptj": _OLD,
    "codegen": _OLD,
    "mpt": {"d_model": 32, "n_layers": 4, "n_heads": 4, "max_seq_len": 512, "vocab_size": VOCABULARY},
    "bloom": {"hidden_size": 32, "n_layer": 4, "n_head": 4, "vocab_size": VOCABULARY},
    "gpt_neo": {**ROPE, "num_layers": 4, "num_heads": 4, "attention_types": [[["global", "local"], 2]], "window_size": 16},
}
"""Families whose blocks give their hidden states first in a tuple."""
ROUTED: dict[str, dict[str, object]] = {
    "phimoe": _EXPERTS,
    "llama4_text": _EXPERTS | {"intermediate_size_mlp": 48, "attention_chunk_size": 16, "interleave_moe_layer_step": 1},
}
"""Families whose router is a linear that gives more than a linear does."""
SEEING: dict[str, dict[str, object]] = {
    "gemma3": {
        "text_config": ROPE | {"query_pre_attn_scalar": 8, "sliding_window": 16},
        "vision_config": _EYES,
        "mm_tokens_per_image": 4,
    },
}
"""Families that read images too, here by more layers than text."""
HEADED: dict[str, dict[str, object]] = {
    "modernbert-decoder": {name: size for name, size in ROPE.items() if name not in ("num_key_value_heads", "head_dim")}
    | {"cls_token_id": 0, "sep_token_id": 0, "local_attention": 16},
}
"""Families that call their head a decoder."""
LATENT: dict[str, dict[str, object]] = {
    "deepseek_v3": {name: size for name, size in ROPE.items() if name not in ("num_key_value_heads", "head_dim")}
    | {"num_key_value_heads": 4, "kv_lora_rank": 16, "q_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 12}
    | {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "moe_intermediate_size": 16},
}
"""Families whose keys and values differ in width."""
STATEFUL: dict[str, dict[str, object]] = {
    "lfm2": ROPE | {"layer_types": ["conv", "full_attention", "conv", "full_attention"]},
    "qwen3_next": _LINEAR
    | {"moe_intermediate_size": 16, "shared_expert_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2},
    "qwen3_5_text": _LINEAR,
    "granitemoehybrid": _EXPERTS
    | {
        "layer_types": ["mamba", "attention"] * 2,
        "mamba_n_heads": 4,
        "mamba_d_head": 16,
        "mamba_d_state": 8,
        "shared_intermediate_size": 48,
    },
    "mamba": {"hidden_size": 32, "num_hidden_layers": 4, "state_size": 8, "vocab_size": VOCABULARY},
}
"""Families that keep a state between tokens in some layers, or in all, in place of keys and values."""
OTHERWISE: dict[str, dict[str, object]] = {
    "bart": {"d_model": 32, "decoder_layers": 4, "decoder_attention_heads": 4, "decoder_ffn_dim": 48, "vocab_size": VOCABULARY},
    "pegasus": {"d_model": 32, "decoder_layers": 4, "decoder_attention_heads": 4, "decoder_ffn_dim": 48, "vocab_size": VOCABULARY},
}
"""Families that count positions from the longest row."""
ODD = TUPLES | ROUTED | SEEING | HEADED | LATENT | STATEFUL | OTHERWISE


def odd_model(family: str, dtype: torch.dtype = torch.float32, **more: object) -> PreTrainedModel:
    """A model of one of these families, large enough in scale that its outputs differ."""
    config = AutoConfig.for_model(family, **(ODD[family] | more))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.15)
    return model.to(dtype).eval()
