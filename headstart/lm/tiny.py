"""Bases small enough to make on the spot: any family that transformers builds from a config, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SPECIAL = ["<|im_end|>", "<|im_start|>"]
VOCABULARY = 256 + len(_SPECIAL)

_WIDTHS = ("hidden_size", "intermediate_size", "head_dim", "n_embd")
ROPE: dict[str, object] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
FAMILIES: dict[str, dict[str, object]] = {
    "llama": ROPE,
    "mistral": ROPE | {"sliding_window": 16},
    "qwen2": ROPE,
    "qwen3": ROPE,
    "gemma2": ROPE | {"query_pre_attn_scalar": 8, "sliding_window": 16},
    "gemma3_text": ROPE | {"query_pre_attn_scalar": 8, "sliding_window": 16, "layer_types": [*["sliding_attention"] * 3, "full_attention"]},
    "phi3": ROPE,
    "gpt_neox": ROPE,
    # Tied, random weights would say the last token again.
    "smollm3": ROPE | {"tie_word_embeddings": False},
    "gpt2": {"n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 512, "vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 0},
}
"""Model types, and a config of a hundred thousand weights or fewer for each."""


def tiny_model(family: str, seed: int = 0, dtype: torch.dtype = torch.float32, wide: int = 1) -> PreTrainedModel:
    """A model of a family with random weights, large enough in scale that its outputs differ; its widths so many times as wide."""
    sizes = {name: size * wide if isinstance(size, int) and name in _WIDTHS else size for name, size in FAMILIES[family].items()}
    config = AutoConfig.for_model(family, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.15)
    return model.to(dtype).eval()


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte a token, and two marks for a ChatML template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*_SPECIAL, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(_SPECIAL)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
        chat_template=CHATML,
    )


def tiny_base(folder: Path, family: str = "llama", seed: int = 0, wide: int = 1) -> Path:
    """Save a model and a tokenizer to a folder that `load` reads."""
    tiny_model(family, seed, wide=wide).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
