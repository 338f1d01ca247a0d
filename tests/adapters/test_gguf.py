"""A LoRA in llama.cpp's format: what is in the file, and that llama.cpp's own order of q and k is met."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest
import torch
from transformers import GPT2Config, GPTNeoXConfig, LlamaConfig, Phi3Config, Qwen2Config, SmolLM3Config

from headstart.adapters.gguf import write
from headstart.bank import Weights
from headstart.errors import AdapterRefused

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
NEOX = GPTNeoXConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4)


def weights(*sites: str) -> Weights:
    chance = torch.Generator().manual_seed(0)
    widths = {"q_proj": 32, "k_proj": 16, "v_proj": 16, "qkv_proj": 64, "query_key_value": 96, "dense": 32}
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


@pytest.mark.parametrize("kind", [LlamaConfig, SmolLM3Config])
def test_llama_s_q_and_k_are_turned_with_as_many_heads_as_each_has(tmp_path: Path, kind: type[LlamaConfig]) -> None:
    given = weights(Q, K, V)
    write(tmp_path / "a.gguf", given, kind(**SIZES))
    _, there = read(tmp_path / "a.gguf")
    for part, site, heads in (("q", Q, 4), ("k", K, 2)):
        b, got = given[f"{site}.lora_B"].half().float(), there[f"blk.1.attn_{part}.weight.lora_b"]
        # Head by head: first of the one half, first of the other, second of the one …
        expected = [b[h * 8 + half * 4 + i] for h in range(heads) for i in range(4) for half in (0, 1)]
        assert torch.equal(got, torch.stack(expected))
        assert torch.equal(there[f"blk.1.attn_{part}.weight.lora_a"], given[f"{site}.lora_A"].half().float())
    assert torch.equal(there["blk.1.attn_v.weight.lora_b"], given[f"{V}.lora_B"].half().float())


def test_a_linear_fused_head_by_head_is_written_as_all_q_all_k_and_all_v(tmp_path: Path) -> None:
    fused, dense = (f"gpt_neox.layers.0.attention.{part}" for part in ("query_key_value", "dense"))
    given = weights(fused, dense)
    write(tmp_path / "a.gguf", given, NEOX)
    _, there = read(tmp_path / "a.gguf")
    b = given[f"{fused}.lora_B"].half().float()
    expected = [b[head * 24 + part * 8 + i] for part in range(3) for head in range(4) for i in range(8)]
    assert torch.equal(there["blk.0.attn_qkv.weight.lora_b"], torch.stack(expected))
    assert torch.equal(there["blk.0.attn_qkv.weight.lora_a"], given[f"{fused}.lora_A"].half().float())
    assert torch.equal(there["blk.0.attn_output.weight.lora_b"], given[f"{dense}.lora_B"].half().float())


def test_a_linear_fused_in_llama_cpp_s_own_order_is_written_as_it_is(tmp_path: Path) -> None:
    given = weights(fused := "model.layers.0.self_attn.qkv_proj")
    write(tmp_path / "a.gguf", given, Phi3Config(**SIZES, pad_token_id=0))
    _, there = read(tmp_path / "a.gguf")
    assert torch.equal(there["blk.0.attn_qkv.weight.lora_b"], given[f"{fused}.lora_B"].half().float())


def test_what_llama_cpp_would_read_wrongly_is_refused_with_what_works(tmp_path: Path) -> None:
    with pytest.raises(AdapterRefused, match=r"'gpt2' bases cannot be written as GGUF; of gemma2, .*gpt_neox, .*phi3, .* they can"):
        write(tmp_path / "a.gguf", weights(Q), GPT2Config())
    with pytest.raises(AdapterRefused, match=r"a LoRA on model\.layers\.7\.self_attn\.q_proj, model\.layers\.9.*in layers 0 to 1"):
        write(tmp_path / "b.gguf", weights(Q, "model.layers.7.self_attn.q_proj", "model.layers.9.self_attn.v_proj"), LlamaConfig(**SIZES))
    with pytest.raises(AdapterRefused, match=r"q_proj: of phi3 bases it has one for qkv_proj, o_proj, gate_up_proj, down_proj"):
        write(tmp_path / "c.gguf", weights(Q), Phi3Config(**SIZES, pad_token_id=0))
    with pytest.raises(AdapterRefused, match=r"one for query_key_value, dense, dense_h_to_4h, dense_4h_to_h"):
        write(tmp_path / "d.gguf", weights(Q), NEOX)


def test_weights_that_fp16_cannot_hold_are_refused(tmp_path: Path) -> None:
    given = weights(Q)
    given[f"{Q}.lora_A"][0, 0] = 1e5
    with pytest.raises(AdapterRefused, match="fp16 cannot hold"):
        write(tmp_path / "a.gguf", given, Qwen2Config(**SIZES))
