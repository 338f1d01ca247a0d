"""An adapter on a base: the right one bends it, any other is refused with every misfit and leaves the base bare."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from headstart.adapters.store import Shelf
from headstart.adapters.wear import graft_for, key_of, wear
from headstart.bank import Weights
from headstart.episode import Example
from headstart.errors import AdapterRefused, NameRefused
from headstart.lm.batch import Batch, Encoded
from headstart.lm.load import Base
from tests.conftest import assert_bare

Q, V = "model.layers.0.self_attn.q_proj", "model.layers.3.self_attn.v_proj"
BATCH = Batch.of([Encoded((5, 9, 14), (3, 8))])


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def lora(**sites: tuple[int, int]) -> Weights:
    """Ones, by site: (width_out, width_in)."""
    weights = {}
    for site, (out, into) in sites.items():
        weights |= {f"{site}.lora_A": torch.full((2, into), 0.1), f"{site}.lora_B": torch.full((out, 2), 0.1)}
    return weights


def keep(shelf: Shelf, base: Base, name: str, weights: Weights, prefix: Sequence[Example] = ()) -> None:
    shelf.write(name, weights, {"base": dataclasses.asdict(key_of(base))}, layers=4, prefix=prefix)


def logits(base: Base) -> torch.Tensor:
    with torch.no_grad():
        return base.model(input_ids=BATCH.tokens).logits[BATCH.owner, BATCH.place]


def test_no_adapter_is_the_bare_base(tiny: Base, shelf: Shelf) -> None:
    wanted = logits(tiny)
    worn = wear(tiny, shelf, None)
    try:
        assert (worn.bank, worn.slot, worn.before) == ({}, 0, [])
        torch.testing.assert_close(worn.net(worn.bank, torch.tensor([worn.slot]), BATCH), wanted)
    finally:
        worn.net.remove()
    assert_bare(tiny)


def test_an_adapter_bends_its_slot_and_leaves_slot_0_the_base(tiny: Base, shelf: Shelf) -> None:
    keep(shelf, tiny, "mine", lora(**{Q: (32, 32), V: (16, 32)}))
    wanted = logits(tiny)
    worn = wear(tiny, shelf, "mine")
    try:
        assert (worn.slot, worn.before) == (1, [])
        assert list(worn.net.sites) == [Q, V]
        torch.testing.assert_close(worn.net(worn.bank, torch.tensor([0]), BATCH), wanted)
        assert (worn.net(worn.bank, torch.tensor([1]), BATCH) - wanted).abs().max() > 0.01
    finally:
        worn.net.remove()
    assert_bare(tiny)


def test_an_adapter_brings_the_examples_that_it_keeps_in_front(tiny: Base, shelf: Shelf) -> None:
    kept = [Example.pair("a\nb", "ü"), Example((("system", "s"), ("user", "c"), ("assistant", "d")))]
    keep(shelf, tiny, "mine", lora(**{Q: (32, 32)}), kept)
    worn = wear(tiny, shelf, "mine")
    worn.net.remove()
    assert worn.before == kept


def test_another_shape_is_refused_with_every_misfit(tiny: Base, shelf: Shelf) -> None:
    keep(shelf, tiny, "big", lora(**{Q: (64, 64), V: (16, 32), "model.layers.1.mlp.up_proj": (48, 33)}))
    with pytest.raises(AdapterRefused) as refused:
        wear(tiny, shelf, "big")
    told = str(refused.value)
    assert f"{Q} is (64, 64), the base's is (32, 32)" in told
    assert "model.layers.1.mlp.up_proj is (48, 33), the base's is (48, 32)" in told
    assert V not in told
    assert_bare(tiny)


def test_of_many_misfits_the_rest_are_counted(tiny: Base) -> None:
    sites = {f"model.layers.{i}.self_attn.q_proj": (64, 64) for i in range(4)}
    with pytest.raises(AdapterRefused, match="and 1 more"):
        graft_for(tiny, "big", lora(**sites))


def test_another_architecture_is_refused(tiny: Base, shelf: Shelf) -> None:
    keep(shelf, tiny, "gpt", lora(**{"transformer.h.0.attn.c_attn": (96, 32)}))
    with pytest.raises(AdapterRefused, match=r"'gpt' bends linears that .* does not have.*c_attn"):
        wear(tiny, shelf, "gpt")
    assert_bare(tiny)


def test_another_base_is_refused_before_anything_is_bent(tiny: Base, shelf: Shelf) -> None:
    keep(shelf, dataclasses.replace(tiny, content_hash="f" * 64), "other", lora(**{Q: (32, 32)}))
    with pytest.raises(AdapterRefused, match="the base's weights"):
        wear(tiny, shelf, "other")
    with pytest.raises(NameRefused):
        wear(tiny, shelf, "absent")
    assert_bare(tiny)
