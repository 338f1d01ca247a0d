"""A LoRA in llama.cpp's format: what is in the file, and that llama.cpp's own order of q and k is met."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest
import torch
from transformers import GPTNeoXConfig, LlamaConfig, Qwen2Config

from headstart.adapters.gguf import write
from headstart.bank import Weights
from headstart.errors import AdapterRefused

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}


def weights(*sites: str) -> Weights:
    chance = torch.Generator().manual_seed(0)
    widths = {"q_proj": 32, "k_proj": 16, "v_proj": 16, "down_proj": 32}
    drawn: Weights = {}
    for site in sites:
        drawn[f"{site}.lora_A"] = torch.randn(4, 32, generator=chance)
        drawn[f"{site}.lora_B"] = torch.randn(widths[site.rpartition(".")[2]], 4, generator=chance)
    return drawn


Q, K, V = (f"model.layers.1.self_attn.{part}_proj" for part in "qkv")


def read(path: Path) -> tuple[gguf.GGUFReader, dict[str, torch.Tensor]]:
    reader = gguf.GGUFReader(path)
    return reader, {it.name: torch.tensor(it.data.astype("float32")) for it in reader.tensors}


def test_the_file_says_what_it_is_and_holds_every_site(tmp_path: Path) -> None:
    given = weights(Q, V)
    write(tmp_path / "a.gguf", given, Qwen2Config(**SIZES))
    reader, there = read(tmp_path / "a.gguf")
    said = {name: reader.fields[name].contents() for name in ("general.architecture", "general.type", "adapter.type", "adapter.lora.alpha")}
    assert said == {"general.architecture": "qwen2", "general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 4.0}
    assert set(there) == {f"blk.1.attn_{part}.weight.lora_{side}" for part in "qv" for side in "ab"}
    assert torch.equal(there["blk.1.attn_q.weight.lora_b"], given[f"{Q}.lora_B"].half().float())
    assert torch.equal(there["blk.1.attn_q.weight.lora_a"], given[f"{Q}.lora_A"].half().float())


def test_llama_s_q_and_k_are_turned_with_as_many_heads_as_each_has(tmp_path: Path) -> None:
    given = weights(Q, K, V)
    write(tmp_path / "a.gguf", given, LlamaConfig(**SIZES))
    _, there = read(tmp_path / "a.gguf")
    for part, site, heads in (("q", Q, 4), ("k", K, 2)):
        b, got = given[f"{site}.lora_B"].half().float(), there[f"blk.1.attn_{part}.weight.lora_b"]
        # Head by head: first of the one half, first of the other, second of the one …
        expected = [b[h * 8 + half * 4 + i] for h in range(heads) for i in range(4) for half in (0, 1)]
        assert torch.equal(got, torch.stack(expected))
        assert torch.equal(there[f"blk.1.attn_{part}.weight.lora_a"], given[f"{site}.lora_A"].half().float())
    assert torch.equal(there["blk.1.attn_v.weight.lora_b"], given[f"{V}.lora_B"].half().float())


def test_what_llama_cpp_would_read_wrongly_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterRefused, match="'gpt_neox' bases cannot be written as GGUF"):
        write(tmp_path / "a.gguf", weights(Q), GPTNeoXConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4))
    with pytest.raises(AdapterRefused, match="no place for a LoRA"):
        write(tmp_path / "b.gguf", weights("model.layers.7.self_attn.q_proj"), LlamaConfig(**SIZES))
