from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.bank import Bank
from headstart.errors import BankError
from headstart.lm.batch import Batch, Encoded
from headstart.lm.context import Context, common, losses_after
from headstart.lm.graft import Grafted
from headstart.lm.sites import ALL_LINEAR
from headstart.lm.tiny import FAMILIES, tiny_model
from headstart.loss import row_losses, token_losses

Make = Callable[..., Bank]
Draw = Callable[..., list[Encoded]]
SHARED = tuple(range(40, 60))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shared", [(), SHARED], ids=["empty", "twenty tokens"])
def test_losses_after_a_context_equal_those_with_it_written_out(
    family: str, shared: tuple[int, ...], drawn_bank: Make, drawn_examples: Draw
) -> None:
    net = Grafted(tiny_model(family), ALL_LINEAR)
    bank, rest = drawn_bank(net, 2), drawn_examples((5, 3), (20, 4), (1, 2))
    written = Batch.of([replace(e, prompt=shared + e.prompt) for e in rest])
    wanted = row_losses(token_losses(net(bank, torch.tensor([2, 2, 2]), written), written.labels), written.owner, 3)
    assert torch.allclose(losses_after(Context.of(net, bank, 2, shared), bank, rest), wanted, rtol=1e-4, atol=1e-4)


def test_a_context_reads_its_tokens_under_its_slot(drawn_bank: Make, drawn_examples: Draw) -> None:
    net = Grafted(tiny_model("llama"))
    bank, rest = drawn_bank(net, 2), drawn_examples((5, 3))
    first, second = (losses_after(Context.of(net, bank, slot, SHARED), bank, rest) for slot in (1, 2))
    assert not torch.allclose(first, second, rtol=1e-2)


def test_use_leaves_a_context_as_it_was(drawn_bank: Make, drawn_examples: Draw) -> None:
    net = Grafted(tiny_model("llama"))
    bank, rest = drawn_bank(net, 1), drawn_examples((5, 3), (2, 2))
    context = Context.of(net, bank, 1, SHARED)
    first = losses_after(context, bank, rest)
    assert context.cache.get_seq_length() == len(context) == len(SHARED)
    assert torch.equal(losses_after(context, bank, rest), first)


def test_rows_of_another_slot_are_refused_unless_the_context_is_empty(drawn_bank: Make) -> None:
    net = Grafted(tiny_model("llama"))
    bank = drawn_bank(net, 2)
    with pytest.raises(BankError, match="its cache belongs to one adapter"):
        Context.of(net, bank, 1, SHARED).worn([1, 0])
    assert Context.of(net, bank, 1, SHARED).worn([1, 1]).tolist() == [1, 1]
    assert Context.of(net, bank, 1, ()).worn([2, 0]).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("prompts", "shared"),
    [
        ([(1, 2, 3), (1, 2, 4)], (1, 2)),
        ([(1, 2), (1, 2, 4)], (1,)),
        ([(1, 2, 3)], (1, 2)),
        ([(1, 2, 3), (2, 2, 3)], ()),
        ([(1,), (1,)], ()),
    ],
)
def test_what_prompts_share_is_short_of_any_of_them(prompts: Sequence[Sequence[int]], shared: tuple[int, ...]) -> None:
    assert common(prompts) == shared


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=6), min_size=1, max_size=4))
def test_what_prompts_share_is_the_longest_beginning_that_leaves_each_a_token(prompts: list[list[int]]) -> None:
    wanted = max(n for n in range(min(map(len, prompts))) if all(p[:n] == prompts[0][:n] for p in prompts))
    assert common(prompts) == tuple(prompts[0][:wanted])
