"""A base as llama.cpp reads it, unpacked: made from a model in memory, so that what its own converter does to weights is done here too.

It shares no code with the product's export of adapters: were both wrong, the bare bases would differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

ARCHITECTURES = {"mistral": "llama", "gemma3_text": "gemma3", "gpt_neox": "gptneox"}
"""`model_type` of transformers -> llama.cpp's architecture, where it is another word."""
INTERLEAVED = {"llama", "mistral", "smollm3"}
"""Model types of which llama.cpp turns neighbours by one angle, and transformers the two halves of a head."""
WINDOWED = {"gemma2", "gemma3_text"}


def write(path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write every weight in fp32."""
    config, kind = model.config, model.config.model_type
    family = ARCHITECTURES.get(kind, kind)
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, family.upper()), config.num_hidden_layers)
    writer = gguf.GGUFWriter(path, family)
    _describe(writer, config)
    _vocabulary(writer, tokenizer, config.vocab_size)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        there = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert there is not None, name
        writer.add_tensor(there, _as_kept_there(name, weight, config).float().contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _as_kept_there(name: str, weight: torch.Tensor, config: Any) -> torch.Tensor:
    kind, part = config.model_type, name.rpartition(".")[0].rpartition(".")[2]
    if kind in WINDOWED and name.endswith("norm.weight"):
        return weight + 1
    rows = torch.arange(len(weight))
    if kind in INTERLEAVED and part in ("q_proj", "k_proj"):
        heads = config.num_attention_heads if part == "q_proj" else config.num_key_value_heads
        rows = rows.view(heads, 2, -1).transpose(1, 2).flatten()
    if part == "query_key_value":
        rows = rows.view(config.num_attention_heads, 3, -1).transpose(0, 1).flatten()
    return weight[rows]


def _describe(writer: gguf.GGUFWriter, config: Any) -> None:
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    turn = config.rope_parameters.get("full_attention", config.rope_parameters)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(int(head * turn.get("partial_rotary_factor", 1.0)))
    writer.add_rope_freq_base(turn["rope_theta"])
    if config.model_type == "gpt_neox":
        writer.add_layer_norm_eps(config.layer_norm_eps)
        writer.add_parallel_residual(config.use_parallel_residual)
    else:
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if config.model_type == "phi3":
        writer.add_rope_scaling_orig_ctx_len(config.original_max_position_embeddings)
    if config.model_type in WINDOWED:
        _windows(writer, config)


def _windows(writer: gguf.GGUFWriter, config: Any) -> None:
    writer.add_sliding_window(config.sliding_window)
    writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in config.layer_types])
    if config.model_type == "gemma3_text":
        writer.add_rope_freq_base_swa(config.rope_parameters["sliding_attention"]["rope_theta"])
    if config.attn_logit_softcapping:
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
    if config.final_logit_softcapping:
        writer.add_final_logit_softcapping(config.final_logit_softcapping)


def _vocabulary(writer: gguf.GGUFWriter, tokenizer: PreTrainedTokenizerFast, size: int) -> None:
    # Qwen's tokenizer adds an end of text of its own, which the base has no embedding for.
    said = tokenizer.convert_ids_to_tokens(list(range(size)))
    # llama-server tells no probabilities of a token that is half a character; it is asked by numbers, so any word will do.
    tokens = [token if token.isascii() or token in "ĠĊ" else f"<{i}>" for i, token in enumerate(said)]
    special = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens])
    # A byte a token has none, and llama.cpp wants one.
    writer.add_token_merges([f"{tokens[-2]} {tokens[-1]}"])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_bos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(False)
