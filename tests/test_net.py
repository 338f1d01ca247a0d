from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from headstart.bank import Bank, Weights, fill, take
from headstart.net import Mlp, Stacked, mlp
from tests.learners.toys import draw

RATE = 0.3
STEPS = 2


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1)).double()


def drawn_bank(net: Stacked, slots: int) -> Bank:
    each = [net.blank(seed) for seed in range(slots)]
    return {name: torch.stack([torch.zeros_like(w), *(one[name] for one in each)]) for name, w in each[0].items()}


def per_row(outputs: Tensor, wanted: Tensor) -> Tensor:
    return ((outputs - wanted) ** 2).mean(dim=(1, 2))


def together(net: Stacked, weights: Weights, support: tuple[Tensor, Tensor], query: tuple[Tensor, Tensor], second: bool) -> Tensor:
    tasks = len(support[0])
    bank, slots = fill(weights, tasks), torch.arange(1, tasks + 1)
    for _ in range(STEPS):
        loss = per_row(net(bank, slots, support[0]), support[1]).sum()
        grads = torch.autograd.grad(loss, list(bank.values()), create_graph=second)
        bank = {name: stack - RATE * g for (name, stack), g in zip(bank.items(), grads, strict=True)}
    return per_row(net(bank, slots, query[0]), query[1]).sum()


def alone(module: nn.Module, weights: Weights, support: tuple[Tensor, Tensor], query: tuple[Tensor, Tensor], second: bool) -> Tensor:
    fast = dict(weights)
    for _ in range(STEPS):
        loss = ((functional_call(module, fast, (support[0],)) - support[1]) ** 2).mean()
        grads = torch.autograd.grad(loss, list(fast.values()), create_graph=second)
        fast = {name: w - RATE * g for (name, w), g in zip(fast.items(), grads, strict=True)}
    return ((functional_call(module, fast, (query[0],)) - query[1]) ** 2).mean()


def meta_gradient(loss: Callable[[Weights], Tensor], weights: Weights) -> list[Tensor]:
    leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
    return list(torch.autograd.grad(loss(leaves), list(leaves.values())))


def episode(tasks: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    return (draw(tasks, 4, 2, seed=1), draw(tasks, 4, 1, seed=2)), (draw(tasks, 3, 2, seed=3), draw(tasks, 3, 1, seed=4))


def test_mixed_rows_equal_one_by_one() -> None:
    net, module, inputs, slots = Stacked(small), small(), draw(5, 3, 2), [2, 1, 0, 2, 3]
    bank = drawn_bank(net, 3)
    mixed = net(bank, torch.tensor(slots), inputs)
    for i, slot in enumerate(slots):
        assert torch.allclose(mixed[i], functional_call(module, take(bank, slot), (inputs[i],)), rtol=0, atol=1e-14)


def test_slot_0_is_the_zero_network() -> None:
    net = Stacked(small)
    assert not net(drawn_bank(net, 1), torch.tensor([0]), draw(1, 3, 2)).any()


def test_blank_is_reproducible_and_leaves_the_global_stream_alone() -> None:
    net = Stacked(small)
    before = torch.get_rng_state()
    first, again, other = net.blank(7), net.blank(7), net.blank(8)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_blank_weights_carry_no_graph() -> None:
    assert not any(w.requires_grad for w in Stacked(small).blank(0).values())


def test_randomness_inside_a_row_is_an_error_and_not_a_silent_mix() -> None:
    net = Stacked(lambda: nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).double())
    with pytest.raises(RuntimeError, match="random"):
        net(fill(net.blank(0), 1), torch.tensor([1]), draw(1, 3, 2))


@pytest.mark.parametrize("second", [True, False])
def test_tasks_adapted_together_have_the_sum_of_their_own_meta_gradients(second: bool) -> None:
    net, module, (support, query) = Stacked(small), small(), episode(4)
    weights = net.blank(0)
    got = meta_gradient(lambda w: together(net, w, support, query, second), weights)
    wanted = [torch.zeros_like(w) for w in weights.values()]
    for i in range(4):
        one = meta_gradient(lambda w, i=i: alone(module, w, (support[0][i], support[1][i]), (query[0][i], query[1][i]), second), weights)
        wanted = [total + g for total, g in zip(wanted, one, strict=True)]
    assert all(torch.allclose(g, w, rtol=0, atol=1e-13) for g, w in zip(got, wanted, strict=True))


def test_the_second_order_meta_gradient_agrees_with_finite_differences() -> None:
    net, (support, query) = Stacked(small), episode(2)
    names, values = zip(*net.blank(0).items(), strict=True)
    loss = lambda *w: together(net, dict(zip(names, w, strict=True)), support, query, second=True)  # noqa: E731
    assert torch.autograd.gradcheck(loss, tuple(v.requires_grad_() for v in values))


def test_the_first_order_meta_gradient_is_another_one() -> None:
    net, (support, query) = Stacked(small), episode(2)
    weights = net.blank(0)
    first = meta_gradient(lambda w: together(net, w, support, query, second=False), weights)
    second = meta_gradient(lambda w: together(net, w, support, query, second=True), weights)
    assert not any(torch.allclose(f, s, rtol=1e-2) for f, s in zip(first, second, strict=True))


@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("slots", [[1, 2, 3], [3, 1, 3]], ids=str)
def test_an_mlp_by_batched_products_equals_the_stacked_module(normed: bool, slots: list[int]) -> None:
    fast, plain = Mlp((4, 5, 3, 2), normed), Stacked(lambda: mlp((4, 5, 3, 2), normed).double())
    bank = drawn_bank(plain, 3)
    assert {name: w.shape for name, w in fast.blank(0).items()} == {name: w.shape for name, w in plain.blank(0).items()}
    x, rows = draw(len(slots), 6, 2, 2), torch.tensor(slots)

    def derivatives(net: Mlp | Stacked) -> list[Tensor]:
        leaves = {name: stack.clone().requires_grad_() for name, stack in bank.items()}
        outputs = net(leaves, rows, x)
        first = torch.autograd.grad(outputs.square().sum(), list(leaves.values()), create_graph=True)
        return [outputs, *first, *torch.autograd.grad(sum(g.square().sum() for g in first), list(leaves.values()))]

    for got, wanted in zip(derivatives(fast), derivatives(plain), strict=True):
        assert torch.allclose(got, wanted, rtol=1e-9, atol=1e-12)


def test_mamls_net_without_convolutions_reads_images() -> None:
    net = Mlp((784, 256, 128, 64, 64, 5), normed=True)
    assert net(fill(net.blank(0), 2), torch.tensor([1, 2]), torch.rand(2, 3, 1, 28, 28)).shape == (2, 3, 5)
