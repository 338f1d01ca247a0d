import copy
import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from headstart.bank import Bank, fill, take
from headstart.errors import Diverged
from headstart.net import Stacked
from headstart.train.adapt import Piece, Schedule, adapt, sum_pieces

SHORT = Schedule(steps=7, rate=0.05)
TASKS = 3


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()


NET = Stacked(mlp)


def regression() -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return tuple(torch.randn(TASKS, 6, width, generator=rng, dtype=torch.float64) for width in (2, 1))  # type: ignore[return-value]


def piece(slots: Sequence[int], inputs: Tensor, wanted: Tensor, shares: float = 1.0) -> Piece:
    """The squared error of some rows, put at their slots."""
    index = torch.tensor(slots)

    def losses(bank: Bank) -> Tensor:
        each = ((NET(bank, index, inputs) - wanted) ** 2).mean((1, 2)) * shares
        return each.new_zeros(TASKS + 1).index_add(0, index, each)

    return losses


def together() -> Bank:
    inputs, wanted = regression()
    return adapt(fill(NET.blank(0), TASKS), lambda _: [piece([1, 2, 3], inputs, wanted)], SHORT)


def test_slots_adapted_together_equal_a_plain_loop_for_each() -> None:
    (inputs, wanted), bank = regression(), together()
    for task in range(TASKS):
        module, weights = mlp(), {name: nn.Parameter(w.clone()) for name, w in NET.blank(0).items()}
        adam = torch.optim.Adam(weights.values(), betas=SHORT.betas)
        for step in range(SHORT.steps):
            adam.param_groups[0]["lr"] = SHORT.rate_at(step)
            adam.zero_grad()
            ((functional_call(module, weights, (inputs[task],)) - wanted[task]) ** 2).mean().backward()
            adam.step()
        assert all(torch.allclose(w, weights[name], rtol=0, atol=1e-10) for name, w in take(bank, task + 1).items())


def test_pieces_may_be_cut_anywhere() -> None:
    inputs, wanted = regression()
    by_slot = [piece([3], inputs[2:], wanted[2:]), piece([1, 2], inputs[:2], wanted[:2])]
    by_half = [piece([1, 2, 3], inputs[:, half], wanted[:, half], shares=0.5) for half in (slice(0, 3), slice(3, 6))]
    for pieces in (by_slot, by_half):
        cut = adapt(fill(NET.blank(0), TASKS), lambda _, pieces=pieces: pieces, SHORT)
        assert all(torch.allclose(stack, together()[name], rtol=0, atol=1e-10) for name, stack in cut.items())


def test_slot_0_stays_exactly_zero() -> None:
    assert not any(stack[0].any() for stack in together().values())


def test_a_slot_without_examples_stays_where_it_began() -> None:
    inputs, wanted = regression()
    bank = adapt(fill(NET.blank(0), TASKS), lambda _: [piece([1, 3], inputs[:2], wanted[:2])], SHORT)
    assert all(torch.equal(w, NET.blank(0)[name]) for name, w in take(bank, 2).items())
    assert not any(torch.equal(w, NET.blank(0)[name]) for name, w in take(bank, 1).items())


def test_the_input_bank_is_left_as_it_was_and_the_output_has_no_graph() -> None:
    inputs, wanted = regression()
    bank = fill(NET.blank(0), TASKS)
    before = copy.deepcopy(bank)
    adapted = adapt(bank, lambda _: [piece([1, 2, 3], inputs, wanted)], SHORT)
    assert all(torch.equal(stack, before[name]) for name, stack in bank.items())
    assert not any(stack.requires_grad for stack in adapted.values())


def test_losses_fall() -> None:
    heard: list[Tensor] = []
    inputs, wanted = regression()
    adapt(fill(NET.blank(0), TASKS), lambda _: [piece([1, 2, 3], inputs, wanted)], SHORT, lambda *told: bool(heard.append(told[2])))
    assert (heard[-1][1:] < heard[0][1:]).all()


def test_each_step_draws_its_own_pieces() -> None:
    inputs, wanted = regression()
    drawn: list[int] = []

    def draw(step: int) -> list[Piece]:
        drawn.append(step)
        return [piece([1 + step % TASKS], inputs[:1], wanted[:1])]

    bank = adapt(fill(NET.blank(0), TASKS), draw, Schedule(steps=2))
    assert drawn == [0, 1]
    assert not torch.equal(bank["0.weight"][1], NET.blank(0)["0.weight"])
    assert torch.equal(bank["0.weight"][3], NET.blank(0)["0.weight"])


def test_the_listener_hears_every_step_and_may_end_the_loop() -> None:
    inputs, wanted = regression()
    pieces, heard = [piece([1, 2, 3], inputs, wanted)], []

    def listen(step: int, bank: Bank, losses: Tensor) -> bool:
        heard.append((step, losses.shape))
        return step == 3

    stopped = adapt(fill(NET.blank(0), TASKS), lambda _: pieces, SHORT, listen)
    assert heard == [(1, (4,)), (2, (4,)), (3, (4,))]
    assert not any(torch.equal(stack[1:], together()[name][1:]) for name, stack in stopped.items())


def test_the_listener_hears_the_losses_before_the_step() -> None:
    inputs, wanted = regression()
    pieces, begin, heard = [piece([1, 2, 3], inputs, wanted)], fill(NET.blank(0), TASKS), []
    adapt(begin, lambda _: pieces, Schedule(steps=1), lambda _, bank, losses: bool(heard.append(losses)))
    assert torch.allclose(heard[0], sum_pieces(begin, pieces), rtol=0, atol=1e-14)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_an_error_that_names_the_step(bad: float) -> None:
    inputs, wanted = regression()
    draw = lambda step: [piece([1, 2, 3], inputs, wanted * (bad if step == 2 else 1))]  # noqa: E731
    with pytest.raises(Diverged, match=r"step 3.*--steps"):
        adapt(fill(NET.blank(0), TASKS), draw, SHORT)


def test_no_steps_change_nothing() -> None:
    bank = fill(NET.blank(0), TASKS)
    assert all(torch.equal(stack, bank[name]) for name, stack in adapt(bank, lambda _: [], Schedule(steps=0)).items())


def test_the_rate_rises_and_then_falls_along_a_cosine_to_a_tenth() -> None:
    schedule = Schedule(steps=100, rate=2.0, warm=4)
    wave = [2.0 * (0.1 + 0.45 * (1 + math.cos(math.pi * step / 100))) for step in range(100)]
    assert [schedule.rate_at(i) for i in range(4)] == pytest.approx([w * (i + 1) / 4 for i, w in enumerate(wave[:4])])
    assert [schedule.rate_at(i) for i in range(4, 100)] == pytest.approx(wave[4:])
    assert schedule.rate_at(99) == pytest.approx(0.2, rel=0.01)
    assert Schedule(rate=2.0, warm=0).rate_at(0) == 2.0
