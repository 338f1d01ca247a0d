"""Families that differ from Llama: blocks that give tuples, routers that are linears, images beside text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import transformers

from headstart.bank import Bank
from headstart.lm.batch import Batch, Encoded
from headstart.lm.graft import Grafted, cache_of
from headstart.lm.tiny import tiny_model
from headstart.terms import ALL_LINEAR
from tests.lm.odd import HEADED, LATENT, ROUTED, SEEING, TUPLES, odd_model

CLOSE = {"rtol": 0.0, "atol": 1e-5}
LENGTHS = ((5, 3), (20, 4), (1, 2))
SLOTS = [2, 0, 1]

Make = Callable[..., Bank]
Draw = Callable[..., list[Encoded]]


@pytest.mark.parametrize("family", [*TUPLES, *ROUTED, *SEEING, *HEADED, *LATENT])
def test_a_mixed_batch_is_what_each_row_is_alone_and_slot_0_the_bare_model(family: str, drawn_bank: Make, drawn_examples: Draw) -> None:
    model, examples = odd_model(family), drawn_examples(*LENGTHS)
    batch = Batch.of(examples)
    bare = model(batch.tokens, use_cache=False).logits[batch.owner, batch.place]
    net = Grafted(model, ALL_LINEAR)
    bank = drawn_bank(net, 2)
    mixed = net(bank, torch.tensor(SLOTS), batch)
    alone = [net(bank, torch.tensor([slot]), Batch.of([e])) for slot, e in zip(SLOTS, examples, strict=True)]
    assert torch.allclose(mixed, torch.cat(alone), **CLOSE)
    assert torch.equal(net(bank, torch.tensor([0, 0, 0]), batch), bare)
    assert (mixed - bare).abs().max() > 0.1


@pytest.mark.parametrize("family", [*TUPLES, *ROUTED, *SEEING, *HEADED, *LATENT])
def test_every_site_is_bent(family: str, drawn_bank: Make, drawn_examples: Draw) -> None:
    net = Grafted(odd_model(family), ALL_LINEAR)
    leaves = {name: stack.requires_grad_() for name, stack in drawn_bank(net, 1).items()}
    batch = Batch.of(drawn_examples((9, 9)))
    slopes = torch.autograd.grad(net(leaves, torch.tensor([1]), batch).square().sum(), list(leaves.values()))
    assert [name for name, slope in zip(leaves, slopes, strict=True) if not slope[1].any()] == []


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize("family", [*TUPLES, *ROUTED, *SEEING, *HEADED, *LATENT])
def test_layers_and_head_apart_are_the_whole(family: str, checkpointed: bool, drawn_bank: Make, drawn_examples: Draw) -> None:
    net, examples = Grafted(odd_model(family), ALL_LINEAR, layers=[2, 3]), drawn_examples(*LENGTHS)
    bank, slots, batch = drawn_bank(net, 2), torch.tensor(SLOTS), Batch.of(examples)
    net.checkpoint(checkpointed)
    wanted = net(bank, slots, batch)
    net.checkpoint(False)
    positions = torch.arange(batch.tokens.shape[1])[None]
    reaching = net.feed(bank, slots, batch.tokens, None, positions, None, (batch.owner, batch.place))
    net.remove()
    fresh = Grafted(net.model, ALL_LINEAR, layers=[2, 3])
    assert torch.allclose(fresh.head(reaching), wanted, **CLOSE)
    lowered = fresh.lower(batch.tokens)
    kept = Batch.of(examples, [lowered[i, : len(e)] for i, e in enumerate(examples)])
    fresh.checkpoint(checkpointed)
    assert fresh.cut == 2
    assert torch.allclose(fresh(bank, slots, kept), wanted, **CLOSE)
    assert fresh.hidden(bank, slots, batch.tokens, 4).shape == (3, 24, 32)


def test_a_forward_that_calls_its_cache_so_is_given_it() -> None:
    model, given = tiny_model("llama"), []
    own = cache_of(model)

    class Later(type(model)):  # type: ignore[misc]
        """As transformers has it from 5.24 on."""

        def forward(self, input_ids: torch.Tensor, cache: object = None, **more: object) -> object:
            given.append(cache)
            assert "past_key_values" not in more
            return super().forward(input_ids, **{own: cache}, **more)

    tokens, positions = torch.tensor([[5, 3, 8]]), torch.arange(3)[None]
    kept = [transformers.DynamicCache(config=model.config) for _ in range(2)]
    wanted = Grafted(model).feed({}, torch.tensor([0]), tokens, None, positions, kept[0])
    model.__class__ = Later
    assert torch.equal(Grafted(model).feed({}, torch.tensor([0]), tokens, None, positions, kept[1]), wanted)
    assert given == [kept[1]]
    assert kept[1].get_seq_length() == 3
