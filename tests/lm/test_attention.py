from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from headstart.bank import fill
from headstart.lm.attention import SPREAD, settle, spread
from headstart.lm.graft import Grafted, cache_of
from headstart.lm.tiny import FAMILIES, tiny_model

FUSED = [family for family in FAMILIES if family != "gemma2"]


@pytest.mark.parametrize("family", FUSED)
def test_every_family_answers_and_learns_the_same(family: str) -> None:
    tokens = torch.arange(2, 42).reshape(2, 20)
    found = []
    for name in ("sdpa", SPREAD):
        model = tiny_model(family, dtype=torch.float64)
        model.set_attn_implementation(name)
        net = Grafted(model, "all-linear")
        bank = {key: stack.requires_grad_() for key, stack in fill(net.blank(0), 1).items()}
        net.checkpoint()
        hidden = net.hidden(bank, torch.tensor([1, 1]), tokens, net.layers)
        found.append([hidden, *torch.autograd.grad(hidden.square().sum(), list(bank.values()))])
    for mine, twin in zip(*found, strict=True):
        torch.testing.assert_close(mine, twin)


@pytest.mark.parametrize("family", FUSED)
def test_padded_rows_and_single_tokens_are_as_they_were(family: str) -> None:
    tokens, mask = torch.arange(2, 22).reshape(2, 10), torch.ones(2, 10, dtype=torch.int64)
    mask[0, :3] = 0
    found = []
    for name in ("sdpa", SPREAD):
        model = tiny_model(family, dtype=torch.float64)
        model.set_attn_implementation(name)
        with torch.no_grad():
            begun = model(input_ids=tokens, attention_mask=mask, use_cache=True)
            cache = {cache_of(model): begun.past_key_values}
            alone = model(input_ids=tokens[:, :1], attention_mask=torch.cat([mask, mask[:, :1] * 0 + 1], 1), **cache)
        found.append((begun.logits[mask.bool()], alone.logits))
    for mine, twin in zip(*found, strict=True):
        torch.testing.assert_close(mine, twin)


def test_groups_are_laid_out_for_every_head_before_a_kernel_sees_them(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = []

    def kernel(query: Any, key: Any, value: Any, **more: Any) -> Any:
        heads.append((query.shape[1], key.shape[1], value.shape[1], more.get("enable_gqa", False), more["is_causal"]))
        return query

    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", kernel)
    layer = tiny_model("llama").model.layers[0].self_attn
    asks, seen = torch.zeros(1, 4, 6, 8), torch.zeros(1, 2, 6, 8)
    spread(layer, asks, seen, seen, None, scaling=1.0)
    assert heads == [(4, 4, 4, False, True)]


@pytest.mark.parametrize(
    ("device", "dtype", "capability", "set_to"),
    [
        ("cuda", torch.bfloat16, (9, 0), []),
        ("cuda", torch.float16, (8, 0), []),
        ("cuda", torch.float16, (7, 5), [SPREAD]),
        ("cuda", torch.float32, (9, 0), [SPREAD]),
        ("cpu", torch.float32, (0, 0), []),
    ],
)
def test_it_is_set_where_no_fused_kernel_takes_groups(
    device: str, dtype: torch.dtype, capability: tuple[int, int], set_to: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[str] = []
    config = SimpleNamespace(_attn_implementation="sdpa")
    model: Any = SimpleNamespace(device=torch.device(device), dtype=dtype, config=config, set_attn_implementation=chosen.append)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert settle(model) is model
    assert chosen == set_to


def test_what_is_not_fused_anyway_stays_so() -> None:
    config = SimpleNamespace(_attn_implementation="eager")
    model: Any = SimpleNamespace(device=torch.device("cuda"), dtype=torch.float32, config=config)
    assert settle(model).config is config


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_card_keeps_no_square_of_a_head() -> None:
    layer, length = tiny_model("llama").model.layers[0].self_attn, 1024
    asks, keys, values = (torch.randn(1, heads, length, 64, device="cuda", requires_grad=True) for heads in (4, 2, 2))
    before = torch.cuda.memory_allocated()
    read, _ = spread(layer, asks, keys, values, None)
    # The squares of four heads are 16 bytes a place; keys and values, and what is read twice, are 4.
    assert torch.cuda.memory_allocated() - before < 8 * length * length
    assert read.requires_grad
