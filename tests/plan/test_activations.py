import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from headstart.bank import Bank, fill
from headstart.learners.inner import slopes
from headstart.lm import attention, quantised, tiny
from headstart.lm.batch import Encoded
from headstart.lm.graft import Grafted
from headstart.lm.load import load
from headstart.lm.objective import lower, objective
from headstart.lm.talk import Talk
from headstart.plan.activations import Batch, kept
from headstart.plan.activations import slopes as kept_slopes
from headstart.plan.forecast import base_bytes
from headstart.plan.moments import twice
from headstart.plan.setting import Setting
from headstart.plan.shape import FAMILIES, shape_of
from headstart.terms import ALL_LINEAR

MADE = {**tiny.FAMILIES, "gemma": {**tiny.FAMILIES["llama"], "tie_word_embeddings": True}}
FIRST = {"phi3": ("qkv_proj",), "gpt2": ("c_attn",), "gpt_neox": ("query_key_value",)}
LENGTH, ANSWER = 48, 16
NEAR = 0.02
"""Indices, losses a row and the like, which tiny models do not dwarf."""


def saved(family: str, dtype: torch.dtype, targets: Sequence[str] | str, lowest: int, rows: int, spread: bool = False) -> int:
    """What autograd really holds after a forward pass, weights and bank not counted."""
    config = AutoConfig.for_model(family, **MADE[family])
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    if spread and model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(attention.SPREAD)
    net = Grafted(model, targets, range(lowest, 4))
    bank = {name: stack.requires_grad_() for name, stack in fill(net.blank(0), 1).items()}
    encoded = [Encoded(tuple(range(LENGTH - ANSWER)), tuple(range(i, i + ANSWER))) for i in range(rows)]
    (piece,) = objective(net, [(1, e) for e in encoded], 2, lower(net, encoded))
    return left_behind(net, bank, piece)


def left_behind(net: Grafted, bank: Bank, piece: Callable[[Bank], torch.Tensor]) -> int:
    """Bytes that wait for the backward pass: what is alive of all that was saved, and what functions keep in themselves."""
    held = {p.untyped_storage().data_ptr() for p in (*net.model.parameters(), *bank.values())}
    seen: list[weakref.ref[torch.Tensor]] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        # An object of its own, as one that somebody else holds would outlive the graph.
        alias = tensor.detach()
        seen.append(weakref.ref(alias))
        return alias

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = piece(bank).sum()
    alive = [tensor for ref in seen if (tensor := ref()) is not None] + list(kept_in_functions(loss.grad_fn))
    storages = {storage.data_ptr(): storage.nbytes() for it in alive if (storage := it.untyped_storage()).data_ptr() not in held}
    return sum(storages.values())


def kept_in_functions(function: Any) -> Iterator[torch.Tensor]:
    """What bitsandbytes keeps for its backward pass, past autograd's own book."""
    left, done = [function], set()
    while left:
        it = left.pop()
        if it is not None and it not in done:
            done.add(it)
            yield from (t for t in getattr(it, "tensors", None) or () if t is not None)
            left += [behind for behind, _ in it.next_functions]


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("lowest", [0, 2])
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_kept_is_what_autograd_saves(family: str, everything: bool, precision: str, lowest: int, rows: int) -> None:
    targets = ("all-linear",) if everything else FIRST.get(family, ("q_proj", "v_proj"))
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    shape = shape_of(AutoConfig.for_model(family, **MADE[family]).to_dict(), family)
    setting, batch = Setting(precision=precision, target=targets, lowest=lowest), Batch(rows, LENGTH, rows * ANSWER)
    told = kept(shape, setting, batch) + kept_slopes(shape, setting, batch)
    assert told == pytest.approx(saved(family, dtype, "all-linear" if everything else targets, lowest, rows), rel=NEAR)


@pytest.mark.parametrize("lowest", [0, 2])
@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_where_no_fused_kernel_takes_groups_keys_and_values_are_kept_for_every_head(family: str, everything: bool, lowest: int) -> None:
    targets = ("all-linear",) if everything else FIRST.get(family, ("q_proj", "v_proj"))
    shape = shape_of(AutoConfig.for_model(family, **MADE[family]).to_dict(), family)
    setting, batch = Setting(precision="fp32", target=targets, lowest=lowest, card=True), Batch(3, LENGTH, 3 * ANSWER)
    told = kept(shape, setting, batch) + kept_slopes(shape, setting, batch)
    found = saved(family, torch.float32, "all-linear" if everything else targets, lowest, 3, spread=True)
    assert told == pytest.approx(found, rel=NEAR)


@pytest.mark.parametrize("lowest", [0, 2])
@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("bits", [4, 8])
def test_packed_linears_keep_what_autograd_and_they_save(bits: int, everything: bool, lowest: int, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    base = load(str(tiny.tiny_base(tmp_path / "base", wide=4)), torch.bfloat16, bits=bits)
    targets = (ALL_LINEAR,) if everything else ("q_proj", "v_proj")
    net = Grafted(base.model, list(targets), range(lowest, 4))
    bank = {name: stack.requires_grad_() for name, stack in fill(net.blank(0), 1).items()}
    encoded = [Encoded(tuple(range(LENGTH - ANSWER)), tuple(range(i, i + ANSWER))) for i in range(3)]
    (piece,) = objective(net, [(1, e) for e in encoded], 2, lower(net, encoded))
    shape = shape_of(base.model.config.to_dict() | {"quantization_config": None}, "tiny")
    setting, batch = Setting(precision=f"{bits}bit", target=targets, lowest=lowest), Batch(3, LENGTH, 3 * ANSWER)
    told = kept(shape, setting, batch) + kept_slopes(shape, setting, batch)
    assert told == pytest.approx(left_behind(net, bank, piece), rel=NEAR)


@pytest.mark.parametrize("bits", [4, 8])
def test_packed_linears_keep_nothing_past_checkpointing(bits: int, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    model = load(str(tiny.tiny_base(tmp_path / "base", wide=4)), torch.bfloat16, bits=bits).model
    net = Grafted(model)
    net.checkpoint()
    bank = {name: stack.requires_grad_() for name, stack in fill(net.blank(0), 1).items()}
    rows = [Encoded(tuple(range(LENGTH - ANSWER)), tuple(range(ANSWER)))]
    (piece,) = objective(net, [(1, row) for row in rows], 2, lower(net, rows))
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    assert {it.untyped_storage().data_ptr() for it in kept_in_functions(piece(bank).sum().grad_fn)} <= weights


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2", "gpt_neox", "phi3"])
@pytest.mark.parametrize("bits", [4, 8])
def test_a_packed_base_has_as_many_bytes_as_are_told(bits: int, family: str, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    model = load(str(tiny.tiny_base(tmp_path / "base", family, wide=4)), torch.bfloat16, bits=bits).model
    held = sum(p.nbytes for p in model.parameters())
    for it in quantised.packed(model):
        state = it.weight.quant_state if bits == 4 else None
        extra = [state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code] if state else [it.state.SCB]
        held += sum(tensor.nbytes for tensor in extra)
    shape = shape_of(model.config.to_dict() | {"quantization_config": None}, family)
    assert base_bytes(shape, f"{bits}bit") == pytest.approx(held, rel=0.001)


def test_layers_that_are_computed_again_keep_their_inputs_alone() -> None:
    shape = shape_of(AutoConfig.for_model("llama", **MADE["llama"]).to_dict(), "llama")
    batch = Batch(1, 64, 32)
    again = kept(shape, Setting(checkpoint=True), batch)
    assert 4 * 64 * shape.width * 2 <= again < kept(shape, Setting(), batch) / 4


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_a_step_that_is_differentiated_again_keeps_what_autograd_saves(family: str, everything: bool) -> None:
    targets = ("all-linear",) if everything else ("q_proj", "v_proj")
    sizes = {**MADE[family], "hidden_size": 64, "intermediate_size": 176, "num_key_value_heads": 4, "head_dim": 16}
    config = AutoConfig.for_model(family, **sizes)
    net = Grafted(AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16), list(targets))
    talk = Talk(tuple((Encoded(tuple(range(32)), tuple(range(i, i + 16))),) for i in range(3)))
    bank = {name: stack.requires_grad_() for name, stack in fill(net.blank(0), 3).items()}
    held = {p.untyped_storage().data_ptr() for p in (*net.model.parameters(), *bank.values())}
    seen: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if (storage := tensor.untyped_storage()).data_ptr() not in held:
            seen[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        slopes(net, bank, tuple(bank), talk, second=True)
    shape, batch = shape_of(config.to_dict(), family), Batch(3, LENGTH, 3 * ANSWER, gathered=False)
    told = twice(shape, Setting(target=targets), batch) + 8 * batch.targets * shape.vocabulary
    assert told == pytest.approx(sum(storage.nbytes() for storage in seen.values()), rel=0.06)
