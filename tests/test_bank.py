import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from headstart.bank import BASE, Bank, Weights, bend, blank, fill, put, take, worn
from headstart.errors import BankError


def lora(rank: int, seed: int = 0, width_in: int = 4, width_out: int = 3) -> Weights:
    rng = torch.Generator().manual_seed(seed)
    return {
        "q.lora_A": torch.randn(rank, width_in, generator=rng, dtype=torch.float64),
        "q.lora_B": torch.randn(width_out, rank, generator=rng, dtype=torch.float64),
    }


def correction(weights: Weights, x: Tensor) -> Tensor:
    return x @ weights["q.lora_A"].T @ weights["q.lora_B"].T


def bend_by_loop(out: Tensor, x: Tensor, a: Tensor, b: Tensor, slots: list[int]) -> Tensor:
    parts = len(x) // len(slots)
    rows = []
    for i in range(len(x)):
        slot = slots[i // parts]
        rows.append(out[i] + x[i] @ a[slot].T @ b[slot].T)
    return torch.stack(rows)


def drawn_bank(slots: int, rank: int = 2, seed: int = 0) -> Bank:
    bank = blank(lora(rank), slots)
    for slot in range(1, slots + 1):
        put(bank, slot, lora(rank, seed=seed + slot))
    return bank


def test_fill_copies_one_adapter_behind_a_slot_of_zeros() -> None:
    weights = lora(2)
    bank = fill(weights, 3)
    for name, stack in bank.items():
        assert stack.shape == (4, *weights[name].shape)
        assert torch.equal(stack[BASE], torch.zeros_like(weights[name]))
        assert all(torch.equal(stack[slot], weights[name]) for slot in (1, 2, 3))


def test_gradients_of_all_copies_are_summed_into_what_was_filled() -> None:
    w = torch.ones(2, dtype=torch.float64, requires_grad=True)
    stack = fill({"w": w}, 3)["w"]
    (stack * torch.tensor([[100.0], [1.0], [2.0], [4.0]], dtype=torch.float64)).sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [7.0, 7.0]


@pytest.mark.parametrize("slots", [0, -1])
def test_a_bank_without_a_slot_is_refused(slots: int) -> None:
    with pytest.raises(BankError, match="at least one slot"):
        fill(lora(2), slots)


def test_a_blank_bank_is_zeros_of_the_same_kind() -> None:
    bank = blank(lora(2), 3)
    assert {name: (stack.shape, stack.dtype) for name, stack in bank.items()} == {
        "q.lora_A": ((4, 2, 4), torch.float64),
        "q.lora_B": ((4, 3, 2), torch.float64),
    }
    assert all(not stack.any() for stack in bank.values())


def test_take_gives_back_what_was_put() -> None:
    bank = drawn_bank(3)
    put(bank, 2, lora(2, seed=9))
    assert all(torch.equal(w, lora(2, seed=9)[name]) for name, w in take(bank, 2).items())
    assert all(torch.equal(w, lora(2, seed=1)[name]) for name, w in take(bank, 1).items())
    assert all(torch.equal(w, lora(2, seed=3)[name]) for name, w in take(bank, 3).items())


@pytest.mark.parametrize("slots", [[1, 2, 3], [2, 3], [0], [3, 2], [1, 1], [0, 2], [1, 1, 3], []], ids=str)
def test_every_row_wears_the_weights_of_its_slot_and_hands_them_its_gradient(slots: list[int]) -> None:
    bank = {name: stack.requires_grad_() for name, stack in drawn_bank(3).items()}
    rows = worn(bank, torch.tensor(slots, dtype=torch.int64))
    for name, stack in bank.items():
        assert torch.equal(rows[name], stack[slots])
        weighed = torch.arange(1.0, len(slots) + 1, dtype=torch.float64)[:, None, None]
        [got] = torch.autograd.grad((rows[name] * weighed).sum(), stack)
        wanted = [sum(i for i, worn_slot in enumerate(slots, 1) if worn_slot == slot) for slot in range(4)]
        assert got[:, 0, 0].tolist() == wanted


@pytest.mark.parametrize("slot", [BASE, -1, 3])
def test_the_base_and_absent_slots_cannot_be_written(slot: int) -> None:
    bank = blank(lora(2), 2)
    with pytest.raises(BankError, match="slots 1 to 2 can"):
        put(bank, slot, lora(2))
    assert all(not stack.any() for stack in bank.values())


def test_a_smaller_rank_is_padded_and_that_changes_nothing() -> None:
    bank, small, x = drawn_bank(2, rank=5), lora(2, seed=7), torch.randn(6, 4, dtype=torch.float64)
    put(bank, 1, small)
    assert torch.allclose(correction(take(bank, 1), x), correction(small, x), rtol=0, atol=1e-14)
    assert not take(bank, 1)["q.lora_A"][2:].any()
    assert not take(bank, 1)["q.lora_B"][:, 2:].any()


def test_what_an_adapter_does_not_name_is_zeroed() -> None:
    bank = drawn_bank(1)
    put(bank, 1, {"q.lora_A": lora(2)["q.lora_A"]})
    assert not bank["q.lora_B"][1].any()
    assert bank["q.lora_A"][1].any()


def test_all_misfits_are_named_at_once_and_nothing_is_written() -> None:
    bank = drawn_bank(1)
    before = {name: stack.clone() for name, stack in bank.items()}
    wrong = {"q.lora_A": torch.ones(3, 4), "q.lora_B": torch.ones(2, 2), "k.lora_A": torch.ones(2, 4)}
    with pytest.raises(BankError) as refusal:
        put(bank, 1, wrong)
    for text in (
        "q.lora_A is (3, 4), the bank holds (2, 4)",
        "q.lora_B is (2, 2), the bank holds (3, 2)",
        "k.lora_A is not one of its sites",
    ):
        assert text in str(refusal.value)
    assert all(torch.equal(stack, before[name]) for name, stack in bank.items())


def test_one_misfit_among_fitting_weights_writes_nothing() -> None:
    bank = drawn_bank(1)
    before = bank["q.lora_A"].clone()
    with pytest.raises(BankError, match=r"fit the bank: q\.lora_B is"):
        put(bank, 1, {"q.lora_A": torch.ones(2, 4), "q.lora_B": torch.ones(9, 2)})
    assert torch.equal(bank["q.lora_A"], before)


@pytest.mark.parametrize("name", ["q.lora_A", "q.lora_B"])
def test_widths_are_never_padded(name: str) -> None:
    narrow = lora(2, width_in=3, width_out=2)[name]
    with pytest.raises(BankError, match="does not fit"):
        put(blank(lora(2), 1), 1, {name: narrow})


def test_what_has_no_rank_is_never_padded() -> None:
    with pytest.raises(BankError, match="does not fit"):
        put(blank({"q.bias": torch.ones(3)}, 1), 1, {"q.bias": torch.ones(2)})


def test_a_weight_with_an_axis_too_many_or_too_few_does_not_fit() -> None:
    for shape in ((2,), (2, 4, 1)):
        with pytest.raises(BankError, match="does not fit"):
            put(blank(lora(2), 1), 1, {"q.lora_A": torch.ones(shape)})


@given(st.data())
def test_bend_equals_a_loop_over_rows(data: st.DataObject) -> None:
    size = lambda most: data.draw(st.integers(1, most))  # noqa: E731
    rows, parts, width_in, width_out, rank, count = size(4), size(3), size(5), size(5), size(3), size(4)
    places = data.draw(st.lists(st.integers(1, 3), max_size=2))
    slots = data.draw(st.lists(st.integers(0, count), min_size=rows, max_size=rows))
    rng = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    draw = lambda *shape: torch.randn(*shape, generator=rng, dtype=torch.float64)  # noqa: E731
    x, out = draw(rows * parts, *places, width_in), draw(rows * parts, *places, width_out)
    a, b = draw(count + 1, rank, width_in), draw(count + 1, width_out, rank)
    assert torch.allclose(bend(out, x, a, b, torch.tensor(slots)), bend_by_loop(out, x, a, b, slots), rtol=0, atol=1e-12)


def test_slot_0_gives_the_output_back_unchanged() -> None:
    bank, x, out = drawn_bank(2), torch.randn(2, 5, 4, dtype=torch.float64), torch.randn(2, 5, 3, dtype=torch.float64)
    bent = bend(out, x, bank["q.lora_A"], bank["q.lora_B"], torch.tensor([BASE, 1]))
    assert torch.equal(bent[0], out[0])
    assert not torch.allclose(bent[1], out[1])


@given(st.permutations([0, 1, 2, 3]), st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_permuting_slots_and_bank_together_changes_nothing(order: list[int], slots: list[int]) -> None:
    bank = drawn_bank(3)
    x, out = torch.randn(len(slots), 2, 4, dtype=torch.float64), torch.zeros(len(slots), 2, 3, dtype=torch.float64)
    a, b = bank["q.lora_A"], bank["q.lora_B"]
    moved = torch.tensor([order.index(slot) for slot in slots])
    assert torch.equal(bend(out, x, a[order], b[order], moved), bend(out, x, a, b, torch.tensor(slots)))


@given(st.permutations(range(5)))
def test_permuting_rows_permutes_results(order: list[int]) -> None:
    bank, slots = drawn_bank(3), torch.tensor([3, 0, 1, 2, 1])
    x, out = torch.randn(5, 2, 4, dtype=torch.float64), torch.randn(5, 2, 3, dtype=torch.float64)
    a, b = bank["q.lora_A"], bank["q.lora_B"]
    assert torch.equal(bend(out[order], x[order], a, b, slots[order]), bend(out, x, a, b, slots)[order])


def test_a_batch_that_is_no_multiple_of_the_rows_is_refused() -> None:
    bank = drawn_bank(1)
    with pytest.raises(BankError, match="batch of 5 is no multiple of 2 rows"):
        bend(torch.zeros(5, 3), torch.zeros(5, 4), bank["q.lora_A"], bank["q.lora_B"], torch.tensor([0, 1]))


def test_a_wider_bank_does_not_widen_the_output() -> None:
    bank, half = drawn_bank(1), torch.ones(1, 2, 3, dtype=torch.float32)
    assert bend(half, torch.ones(1, 2, 4), bank["q.lora_A"], bank["q.lora_B"], torch.tensor([1])).dtype == torch.float32
