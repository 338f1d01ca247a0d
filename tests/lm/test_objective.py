from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from headstart.bank import Bank
from headstart.lm import objective as module
from headstart.lm.batch import Encoded
from headstart.lm.graft import Grafted
from headstart.lm.objective import example_losses, lower, objective
from headstart.lm.tiny import tiny_model

Make = Callable[..., Bank]
Draw = Callable[..., list[Encoded]]
LENGTHS = ((5, 3), (20, 4), (1, 2), (9, 9), (3, 1))
SLOTS = [2, 1, 2, 3, 2]


@pytest.fixture(params=[None, (2, 3)], ids=["all layers bent", "upper layers bent"])
def net(request: pytest.FixtureRequest) -> Grafted:
    return Grafted(tiny_model("llama", dtype=torch.float64), layers=request.param)


def loss_of(net: Grafted, bank: Bank, slot: int, example: Encoded) -> torch.Tensor:
    """One example's loss from the model's full logits, bent by adding each correction to its weight."""
    net.remove()
    model = net.model
    for name in net.sites:
        a, b = (bank[f"{name}.lora_{part}"][slot] for part in "AB")
        model.get_submodule(name).weight += b @ a
    logits = model(torch.tensor([example.tokens])).logits[0]
    for name in net.sites:
        a, b = (bank[f"{name}.lora_{part}"][slot] for part in "AB")
        model.get_submodule(name).weight -= b @ a
    return torch.stack([F.cross_entropy(logits[t - 1], torch.tensor(example.tokens[t])) for t in example.targets]).mean()


def summed(pieces: list[Callable[[Bank], torch.Tensor]], bank: Bank) -> torch.Tensor:
    return torch.stack([piece(bank) for piece in pieces]).sum(0)


@pytest.mark.parametrize("budget", [1, 30, 1000])
def test_pieces_add_up_to_the_mean_loss_of_each_slot_s_examples(
    net: Grafted, drawn_bank: Make, drawn_examples: Draw, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    monkeypatch.setattr(module, "PIECE", budget)
    bank, examples = drawn_bank(net, 4), drawn_examples(*LENGTHS)
    pieces = objective(net, list(zip(SLOTS, examples, strict=True)), 5, lower(net, examples))
    got = summed(pieces, bank)
    each = [loss_of(net, bank, slot, e) for slot, e in zip(SLOTS, examples, strict=True)]
    zero = torch.tensor(0.0, dtype=torch.float64)
    wanted = torch.stack([zero, each[1], (each[0] + each[2] + each[4]) / 3, each[3], zero])
    assert torch.allclose(got, wanted, rtol=0, atol=1e-5)
    assert (len(pieces) == 1) == (budget == 1000)


def test_a_slot_s_gradient_comes_from_its_own_examples(net: Grafted, drawn_bank: Make, drawn_examples: Draw) -> None:
    bank, examples = drawn_bank(net, 3), drawn_examples(*LENGTHS)
    rows = list(zip(SLOTS, examples, strict=True))
    leaves = {name: stack.requires_grad_() for name, stack in bank.items()}
    together = torch.autograd.grad(summed(objective(net, rows, 4, lower(net, examples)), leaves).sum(), list(leaves.values()))
    own = [row for row in rows if row[0] == 2]
    alone = torch.autograd.grad(summed(objective(net, own, 4, lower(net, examples)), leaves).sum(), list(leaves.values()))
    for t, a in zip(together, alone, strict=True):
        assert torch.allclose(t[2], a[2], rtol=0, atol=1e-5)
        assert not t[0].any()
        assert not a[[0, 1, 3]].any()


def test_example_losses_come_in_the_order_given(
    net: Grafted, drawn_bank: Make, drawn_examples: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 30)
    bank, examples = drawn_bank(net, 3), drawn_examples(*LENGTHS)
    got = example_losses(net, bank, list(zip(SLOTS, examples, strict=True)), lower(net, examples))
    wanted = torch.stack([loss_of(net, bank, slot, e) for slot, e in zip(SLOTS, examples, strict=True)])
    assert torch.allclose(got, wanted, rtol=0, atol=1e-5)


def test_earlier_answers_count_in_an_example_s_loss(drawn_bank: Make) -> None:
    net = Grafted(tiny_model("llama", dtype=torch.float64))
    bank, example = drawn_bank(net, 1), Encoded((5, 6, 7, 8, 9), (10, 11), earlier=(2, 3))
    (piece,) = objective(net, [(1, example)], 2, {})
    assert torch.allclose(piece(bank)[1], loss_of(net, bank, 1, example), rtol=0, atol=1e-5)


def test_nothing_is_kept_where_the_lowest_layer_is_bent(drawn_examples: Draw) -> None:
    assert lower(Grafted(tiny_model("llama")), drawn_examples((5, 3))) == {}


def test_every_example_is_lowered_once_and_to_its_own_length(drawn_examples: Draw) -> None:
    net, examples = Grafted(tiny_model("llama"), layers=[1]), drawn_examples(*LENGTHS)
    lowered = lower(net, [*examples, *examples])
    assert {e: h.shape for e, h in lowered.items()} == {e: (len(e), 32) for e in examples}
