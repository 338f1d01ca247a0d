"""Answers beside the right ones: as when each is grown alone, token by token, and the right one read apart."""

import itertools
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.bank import Bank
from headstart.errors import Diverged, ExamplesError
from headstart.lm.batch import Batch, Encoded
from headstart.lm.chat import Chat
from headstart.lm.expect import beginning, expect, judged
from headstart.lm.generate import Sampling, generate
from headstart.lm.graft import Grafted
from headstart.lm.packed import Packed
from headstart.lm.places import Places, Turn
from headstart.lm.tiny import FAMILIES, tiny_model, tiny_tokenizer
from headstart.loss import row_losses, token_losses
from headstart.terms import ALL_LINEAR
from tests.conftest import next_logits

Make = Callable[..., Bank]
MOST = 8
SHARED = tuple(range(40, 60))
PROMPTS = [(7,), (10, 11, 12), (13, 14), (15, 16, 17, 18), (19, 20)]
SLOTS = [1, 0, 2, 1, 0]


def grafted(family: str) -> Grafted:
    return Grafted(tiny_model(family, dtype=torch.float64), ALL_LINEAR)


def grown(net: Grafted, bank: Bank, slot: int, prompt: tuple[int, ...]) -> tuple[int, ...]:
    """The likeliest tokens, as many as an answer may have; the tiny models name no end."""
    for _ in range(MOST):
        prompt += (int(next_logits(net, bank, slot, prompt).argmax()),)
    return prompt[-MOST:]


def asked(net: Grafted, bank: Bank, shared: tuple[int, ...]) -> list[tuple[int, Encoded]]:
    """Right answers that are answered whole, in part, and not at all; the end stands behind each."""
    rows = []
    for slot, alike, rest in zip(SLOTS, (0, 3, MOST - 1, 1, MOST), PROMPTS, strict=True):
        own = grown(net, bank, slot, shared + rest)
        other = () if alike == MOST else ((own[alike] + 1) % 100 + 2,)
        rows.append((slot, Encoded(shared + rest, (*own[:alike], *other, 1)[: MOST + 1])))
    return rows


@pytest.mark.parametrize("at_once", [1, 2, 16])
@pytest.mark.parametrize("shared", [(), SHARED], ids=["nothing", "twenty tokens"])
@pytest.mark.parametrize("family", FAMILIES)
def test_answers_and_losses_are_those_of_each_alone(
    family: str, shared: tuple[int, ...], at_once: int, chat: Chat, drawn_bank: Make
) -> None:
    net = grafted(family)
    bank, ticks = drawn_bank(net, 2), []  # type: Bank, list[tuple[int, int]]
    rows = asked(net, bank, shared)
    said = expect(net, chat, bank, rows, MOST, at_once, lambda *told: ticks.append(told))
    assert ticks == [(min(begun + at_once, 5), 5) for begun in range(0, 5, at_once)]
    assert judged(net, bank, rows, at_once) == pytest.approx([it.loss for it in said], rel=1e-4)
    for it, (slot, e) in zip(said, rows, strict=True):
        assert it.text == generate(net, chat, bank, [slot], [e.prompt], Sampling(MOST))[0]
        batch = Batch.of([e])
        loss = row_losses(token_losses(net(bank, torch.tensor([slot]), batch), batch.labels), batch.owner, 1)
        assert it.loss == pytest.approx(loss.item(), rel=1e-4)


def test_what_is_answered_rightly_takes_no_pass_of_its_own(chat: Chat, drawn_bank: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    net, passes = grafted("llama"), []  # type: Grafted, list[int]
    bank, reach = drawn_bank(net, 2), Packed.reach
    rows = asked(net, bank, ())

    def counted(self: Packed, places: Places, bank: Bank, turns: Sequence[Turn]) -> torch.Tensor:
        passes.append(len(turns))
        return reach(self, places, bank, turns)

    monkeypatch.setattr(Packed, "reach", counted)
    expect(net, chat, bank, [rows[4]], MOST, 16)
    assert passes == [1, 1], "what it begins with, and the rest"
    passes.clear()
    expect(net, chat, bank, rows, MOST, 16)
    # All of them; then one that parts from the right answer at its first token, and others that do so later and end sooner.
    assert passes == [5, *[3] * 4, *[2] * 2, 1]


def test_an_end_that_is_right_ends_the_answer(drawn_bank: Make) -> None:
    net = grafted("llama")
    bank = drawn_bank(net, 1)
    own = grown(net, bank, 1, (5, 6))
    at = next(i for i in range(1, MOST) if own[i] not in own[:i])
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(own[at])
    chat = Chat(tokenizer, 512)
    rights = (own[: at + 1], (*own[:at], own[at] ^ 1), own[:1])
    said = expect(net, chat, bank, [(1, Encoded((5, 6), right)) for right in rights], MOST, 3)
    assert [it.text for it in said] == [chat.letters.text(own[:at])] * 3


@pytest.mark.parametrize("at", [0, 2])
def test_an_answer_of_no_numbers_is_none(chat: Chat, drawn_bank: Make, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    net, called = grafted("llama"), itertools.count()
    bank, head = drawn_bank(net, 1), net.model.lm_head.forward

    def overflowing(reaching: torch.Tensor) -> torch.Tensor:
        return head(reaching) + (0.0 if next(called) < at else float("nan"))

    monkeypatch.setattr(net.model.lm_head, "forward", overflowing)
    with pytest.raises(Diverged, match="no probabilities"):
        expect(net, chat, bank, [(1, Encoded((5, 6), (0, 1)))], MOST, 1)


def test_an_answer_grows_as_far_as_the_context_and_needs_a_token_of_it(drawn_bank: Make) -> None:
    net = grafted("llama")
    bank, e = drawn_bank(net, 1), Encoded((5, 6, 7), (8, 1))
    short = Chat(tiny_tokenizer(), 5)
    assert expect(net, short, bank, [(1, e)], MOST, 1)[0].text == short.letters.text(grown(net, bank, 1, e.prompt)[:2])
    with pytest.raises(ExamplesError, match="A prompt of 3 tokens fills the model's context of 3"):
        expect(net, Chat(tiny_tokenizer(), 3), bank, [(1, e)], MOST, 1)


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
    assert beginning(prompts) == shared


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=6), min_size=1, max_size=4))
def test_what_prompts_share_is_the_longest_beginning_that_leaves_each_a_token(prompts: list[list[int]]) -> None:
    wanted = max(n for n in range(min(map(len, prompts))) if all(p[:n] == prompts[0][:n] for p in prompts))
    assert beginning(prompts) == tuple(prompts[0][:wanted])
