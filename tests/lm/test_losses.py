"""Losses from a few logits at a time against their twin: all logits at once, and their cross-entropy."""

from collections.abc import Callable

import pytest
import torch

from headstart.bank import Bank
from headstart.lm import graft as module
from headstart.lm.batch import Batch, Encoded
from headstart.lm.graft import Grafted
from headstart.lm.tiny import FAMILIES, VOCABULARY, tiny_model
from headstart.loss import token_losses
from headstart.terms import ALL_LINEAR

Make = Callable[..., Bank]
Draw = Callable[..., list[Encoded]]
SLOTS = torch.tensor([2, 0, 1, 2])
WEIGHTS = torch.linspace(0.1, 2.0, 17, dtype=torch.float64)


@pytest.fixture
def batch(drawn_examples: Draw) -> Batch:
    """Seventeen targets."""
    return Batch.of(drawn_examples((5, 3), (20, 4), (1, 2), (9, 8)))


def slopes(losses: torch.Tensor, bank: Bank) -> list[torch.Tensor]:
    return list(torch.autograd.grad((losses * WEIGHTS).sum(), list(bank.values())))


@pytest.mark.parametrize("few", [1, 5, 17, 1000])
@pytest.mark.parametrize("family", FAMILIES)
def test_values_and_gradients_are_those_of_all_logits_at_once(
    family: str, few: int, drawn_bank: Make, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Grafted(tiny_model(family, dtype=torch.float64), ALL_LINEAR)
    bank = {name: stack.requires_grad_() for name, stack in drawn_bank(net, 2).items()}
    plain = token_losses(net(bank, SLOTS, batch), batch.labels)
    wanted = slopes(plain, bank)
    monkeypatch.setattr(module, "LOGITS", few * VOCABULARY)
    losses = net.losses(bank, SLOTS, batch)
    torch.testing.assert_close(losses, plain, rtol=0, atol=1e-9)
    for mine, its in zip(slopes(losses, bank), wanted, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-6, atol=1e-8)


def test_a_checkpointed_net_has_the_same(drawn_bank: Make, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Grafted(tiny_model("llama", dtype=torch.float64), ALL_LINEAR)
    bank = {name: stack.requires_grad_() for name, stack in drawn_bank(net, 2).items()}
    monkeypatch.setattr(module, "LOGITS", 3 * VOCABULARY)
    wanted = slopes(net.losses(bank, SLOTS, batch), bank)
    net.checkpoint()
    got = slopes(net.losses(bank, SLOTS, batch), bank)
    net.checkpoint(False)
    assert all(torch.equal(mine, its) for mine, its in zip(got, wanted, strict=True))


def test_no_more_logits_are_there_than_a_few(drawn_bank: Make, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    net, sizes = Grafted(tiny_model("llama")), []
    net.model.get_output_embeddings().register_forward_hook(lambda head, given, out: sizes.append(out.shape[1]))
    monkeypatch.setattr(module, "LOGITS", 4 * VOCABULARY)
    net.losses(drawn_bank(net, 2), SLOTS, batch)
    assert sizes == [0, 4, 4, 4, 4, 1]


def test_without_a_gradient_none_is_taken(drawn_bank: Make, batch: Batch) -> None:
    net = Grafted(tiny_model("llama"))
    with torch.inference_mode():
        assert not net.losses(drawn_bank(net, 2), SLOTS, batch).requires_grad
