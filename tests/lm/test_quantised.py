"""Bases in few bits against their obvious twin: the weights that they stand for, in ordinary linears."""

import copy
import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from headstart.bank import Bank, fill
from headstart.episode import Example
from headstart.errors import BaseRefused, SettingsError
from headstart.lm import quantised
from headstart.lm.batch import Batch, Encoded
from headstart.lm.graft import Grafted
from headstart.lm.hooked import Hooked
from headstart.lm.load import Base, load
from headstart.lm.packed import Packed, fits
from headstart.lm.places import Places, Turn
from headstart.lm.products import can
from headstart.lm.tiny import FAMILIES, tiny_base
from headstart.lm.twin import twin
from headstart.loss import row_losses, token_losses
from headstart.teach import Recipe, teach

by_blocks = pytest.importorskip("bitsandbytes")
COLOURS = [Example.pair(word, word[0].upper()) for word in ("red", "green", "blue", "black")]
ROUGH = {4: 0.11, 8: 0.02}
"""How far a weight drawn from a normal distribution is from what it is packed as, in its own length."""
NEAR = {4: 0.01 if torch.cuda.is_available() else 1e-5, 8: 0.08}
"""How far an output may be from its twin's: on a GPU 4-bit linears multiply without unpacking the whole; 8-bit ones round what they are fed
as well, and this model is a chaotic one."""


@pytest.fixture(scope="module", params=[4, 8])
def bits(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base whose widths are 128 and 192."""
    return tiny_base(tmp_path_factory.mktemp("bases") / "wide-llama", wide=4)


@pytest.fixture
def small(folder: Path, bits: int) -> Base:
    return load(str(folder), torch.float32, bits=bits)


@pytest.fixture
def stood_for(folder: Path, small: Base) -> Base:
    """The same weights, unpacked, in ordinary linears."""
    plain = load(str(folder), torch.float32)
    for name, module in small.model.named_modules():
        if quantised.bits_of_linear(module):
            plain.model.get_submodule(name).weight.data.copy_(unpacked(module))
    return plain


@pytest.fixture
def net(small: Base) -> Iterator[Grafted]:
    made = Grafted(small.model, "all-linear")
    yield made
    made.remove()


def unpacked(linear: Any) -> Tensor:
    """The weight that a packed linear stands for, (width_out, width_in), in fp32."""
    if quantised.bits_of_linear(linear) == 4:
        return by_blocks.functional.dequantize_4bit(linear.weight.data, linear.weight.quant_state).float()
    return linear.state.CB.float() * linear.state.SCB.float()[:, None] / 127


def off(a: Tensor, b: Tensor) -> float:
    """The distance of two tensors, in lengths of the second."""
    return float((a - b).detach().norm() / b.detach().norm())


def gradients(net: Grafted, bank: Bank, batch: Batch) -> Bank:
    bent = {name: w.clone().requires_grad_() for name, w in bank.items()}
    losses = row_losses(token_losses(net(bent, torch.tensor([1, 2, 1], device=net.device), batch), batch.labels), batch.owner, 3)
    return dict(zip(bent, torch.autograd.grad(losses.sum(), list(bent.values())), strict=True))


@pytest.fixture
def batch(drawn_examples: Callable[..., list[Encoded]], small: Base) -> Batch:
    return Batch.of(drawn_examples((9, 4), (5, 3), (7, 6)), device=small.model.device)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_has_the_same_sites_and_widths_in_few_bits(family: str, bits: int, tmp_path: Path) -> None:
    plain, small = (load(str(tiny_base(tmp_path / "base", family, wide=4)), torch.float32, bits=it) for it in (None, bits))
    assert Grafted(small.model, "all-linear").sites == Grafted(plain.model, "all-linear").sites
    assert len(list(quantised.packed(small.model))) == len(Grafted(plain.model, "all-linear").sites)
    assert (small.precision, plain.precision) == (f"{bits}bit", "fp32")


def test_a_base_that_was_packed_before_is_read_as_it_is(folder: Path, small: Base, batch: Batch, tmp_path: Path, bits: int) -> None:
    small.model.save_pretrained(tmp_path)
    for file in folder.glob("tokenizer*"):
        shutil.copy(file, tmp_path)
    again = load(str(tmp_path), torch.float32)
    assert again.precision == f"{bits}bit"
    with torch.no_grad():
        slots = torch.zeros(3, dtype=torch.int64, device=small.model.device)
        assert torch.equal(Grafted(again.model, "all-linear")({}, slots, batch), Grafted(small.model, "all-linear")({}, slots, batch))


@pytest.mark.parametrize("by", ["gptq", "awq", "compressed-tensors", "fp8", "no-such-method"])
def test_a_base_that_was_packed_by_another_is_refused(folder: Path, tmp_path: Path, by: str) -> None:
    base = Path(shutil.copytree(folder, tmp_path / "base"))
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": by, "bits": 4}}))
    with pytest.raises(BaseRefused, match=f"is packed by {by}, which cannot be bent here: give what it was made from"):
        load(str(base))


def test_a_weight_is_packed_as_closely_as_so_many_bits_allow(folder: Path, small: Base, bits: int) -> None:
    plain = load(str(folder), torch.float32)
    apart = [off(unpacked(m), plain.model.get_submodule(n).weight) for n, m in small.model.named_modules() if quantised.bits_of_linear(m)]
    assert max(apart) < ROUGH[bits]
    held = sum(it.weight.nbytes for it in quantised.packed(small.model))
    assert held * 32 == bits * sum(plain.model.get_submodule(n).weight.nbytes for n in Grafted(small.model, "all-linear").sites)


def test_outputs_are_those_of_the_weights_that_it_stands_for(net: Grafted, stood_for: Base, batch: Batch, bits: int) -> None:
    slots = torch.zeros(3, dtype=torch.int64, device=net.device)
    with torch.no_grad():
        assert off(net({}, slots, batch), Grafted(stood_for.model, "all-linear")({}, slots, batch)) < NEAR[bits]


def test_widths_that_would_be_unpacked_wrongly_are_refused(base_folder: Path) -> None:
    with pytest.raises(BaseRefused, match="blocks of 64, and linears of this base are 32, 48 wide: try --precision 8bit"):
        load(str(base_folder), bits=4)
    assert load(str(base_folder), bits=8).precision == "8bit"


@pytest.mark.parametrize("asked_first", [False, True])
def test_gradients_of_adapters_are_those_of_the_weights_that_it_stands_for(
    net: Grafted, stood_for: Base, batch: Batch, bits: int, asked_first: bool, drawn_bank: Callable[..., Bank]
) -> None:
    bank = drawn_bank(net, 2)
    if asked_first:
        # What bitsandbytes lays out anew for answering could be taught no more, and would not say so.
        with torch.inference_mode():
            net(bank, torch.tensor([1, 2, 1], device=net.device), batch)
    mine, twins = gradients(net, bank, batch), gradients(Grafted(stood_for.model, "all-linear"), bank, batch)
    assert max(off(mine[name], twins[name]) for name in mine) < (10 * NEAR[4] if bits == 4 else 0.5)
    whole = [torch.cat([g[name].flatten() for name in mine]) for g in (mine, twins)]
    assert torch.cosine_similarity(*whole, dim=0) > (0.999 if bits == 4 else 0.97)


def test_a_checkpointed_layer_has_the_same_gradients(net: Grafted, batch: Batch, drawn_bank: Callable[..., Bank]) -> None:
    bank = drawn_bank(net, 2)
    kept = gradients(net, bank, batch)
    net.checkpoint()
    again = gradients(net, bank, batch)
    net.checkpoint(False)
    assert all(torch.equal(kept[name], again[name]) for name in kept)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_8_bit_linear_answers_and_differentiates_as_bitsandbytes_does(folder: Path, dtype: torch.dtype) -> None:
    linear = next(quantised.packed(load(str(folder), dtype, bits=8).model))
    fed = 3 * torch.randn(2, 5, linear.in_features, dtype=dtype, generator=torch.Generator().manual_seed(0)).to(linear.weight.device)
    found = []
    for work in (linear, lambda x: type(linear).forward(linear, x)):
        leaf = fed.clone().requires_grad_()
        out = work(leaf)
        found.append((out, *torch.autograd.grad(out.square().sum(), leaf)))
    assert all(torch.equal(mine, its) for mine, its in zip(*found, strict=True))


def test_what_is_taught_is_learnt(small: Base) -> None:
    taught = teach(small, COLOURS, Recipe(steps=60, prefix=False, folds=0))
    net = Grafted(small.model, "all-linear", [3])
    rows = Batch.of([small.chat.lay(it) for it in COLOURS], device=net.device)
    bank = fill(taught.weights, 1)
    each = [
        row_losses(token_losses(net(bank, torch.full((4,), slot, device=net.device), rows), rows.labels), rows.owner, 4).mean()
        for slot in (0, 1)
    ]
    net.remove()
    assert each[1] < 0.5 * each[0]


def test_a_twin_holds_no_weight_twice(small: Base, batch: Batch) -> None:
    other = twin(small)
    Grafted(small.model).remove()
    for mine, its in zip(quantised.packed(small.model), quantised.packed(other.model), strict=True):
        assert mine is not its
        assert mine.weight is its.weight
        assert [it.data_ptr() for it in scales(mine)] == [it.data_ptr() for it in scales(its)]
    assert torch.equal(other.model(batch.tokens).logits, small.model(batch.tokens).logits)


def scales(linear: torch.nn.Module) -> list[Tensor]:
    return [linear.weight.quant_state.absmax] if hasattr(linear, "quant_state") else [linear.state.CB, linear.state.SCB]


def test_the_packed_pass_takes_it_and_says_the_same(net: Grafted, bits: int, drawn_bank: Callable[..., Bank]) -> None:
    assert fits(net)
    assert not can(net.model)
    bank, said = drawn_bank(net, 2), []
    turns = [Turn(0, 1, list(range(5, 14))), Turn(1, 2, [7, 8, 9]), Turn(2, 0, [11])]
    for way in (Hooked(net), Packed(net)):
        places = Places()
        for _ in turns:
            places.join([], 0)
        with torch.inference_mode():
            said.append(way(places, bank, copy.deepcopy(turns)))
    assert off(said[1], said[0]) < NEAR[bits]


def test_few_bits_without_what_packs_them_are_refused_with_the_mend(base_folder: Path, bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "bitsandbytes" else there(name, *more))
    with pytest.raises(SettingsError, match=rf"in {bits} bits needs bitsandbytes.*pip install 'headstart\[small\]'"):
        load(str(base_folder), bits=bits)
