"""Slots taught beside each other learn what they learn alone; and steps take as many examples as they are told to."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

from headstart.bank import Bank, take
from headstart.episode import Example
from headstart.lm.chat import Chat
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.lm.passes import deal
from headstart.teach import fit as module
from headstart.teach.fit import conversations, fit, pairs
from headstart.teach.recipe import Recipe
from headstart.terms import PIECE
from headstart.train.adapt import Schedule

WORDS = ("red", "tan", "blue", "grey", "pink", "teal", "gold", "lime")


def examples(mark: str) -> list[Example]:
    return [Example.pair(word, mark + word.upper()) for word in WORDS]


def test_conversations_of_slots_together_are_those_of_each_alone(tiny: Base) -> None:
    net, recipe = Grafted(tiny.model, "all-linear", rank=4), Recipe(steps=3, rate=0.01)
    try:
        begin = net.blank(0)
        both, _ = fit(net, tiny.chat, begin, {1: examples("<"), 2: examples("#")}, recipe, lambda *_: None)
        for slot, mark in ((1, "<"), (2, "#")):
            alone, _ = fit(net, tiny.chat, begin, {1: examples(mark)}, recipe, lambda *_: None)
            for name, weight in take(alone, 1).items():
                torch.testing.assert_close(both[name][slot], weight, atol=2e-4, rtol=1e-3)
    finally:
        net.remove()


def test_no_step_leaves_the_start_as_it_is(tiny: Base) -> None:
    net = Grafted(tiny.model, "all-linear", rank=4)
    try:
        begin = net.blank(0)
        bank, steps = fit(net, tiny.chat, begin, {1: examples("<")}, Recipe(steps=0), lambda *_: None)
    finally:
        net.remove()
    assert steps == 0
    assert all(torch.equal(bank[name][1], weight) for name, weight in begin.items())


def test_a_step_of_three_takes_the_next_three_counted_round(tiny: Base) -> None:
    net = Grafted(tiny.model, "all-linear", rank=4)
    taught, whole = {1: examples("<")}, Recipe(prefix=False)
    try:
        bank = {name: torch.stack([torch.zeros_like(w), w]) for name, w in net.blank(0).items()}
        few = pairs(net, tiny.chat, taught, whole.piece, 3)
        for step, shown in ((0, [0, 1, 2]), (2, [6, 7, 0])):
            wanted = pairs(net, tiny.chat, {1: [taught[1][i] for i in shown]}, whole.piece)
            got, want = (sum(piece(bank)[1].item() for piece in draw(step)) for draw in (few, wanted))
            assert abs(got - want) < 1e-5
        as_many = pairs(net, tiny.chat, taught, whole.piece, len(WORDS))
        assert as_many(0) is as_many(1)
        uneven = pairs(net, tiny.chat, {1: taught[1][:2], 2: taught[1]}, whole.piece, 3)
        assert uneven(0) is not uneven(1), "one slot has more than a step takes"
    finally:
        net.remove()


@pytest.fixture
def stepped(tiny: Base, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """What a fit of two slots asks of the inner loop, and says, when step 7 has some losses."""

    def run(recipe: Recipe, losses: list[float]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        net = Grafted(tiny.model, "all-linear")

        def adapt(bank: Bank, draw: object, schedule: Schedule, listen: Callable[..., bool]) -> Bank:
            seen.update(draw=draw, schedule=schedule, again=net._blocks[0].training, ended=listen(7, bank, torch.tensor(losses)))
            return bank

        monkeypatch.setattr(module, "adapt", adapt)
        try:
            taught = {1: examples("<"), 2: examples("#")}
            _, seen["made"] = fit(net, tiny.chat, net.blank(0), taught, recipe, lambda *told: seen.update(told=told))
            assert not net._blocks[0].training
            return seen
        finally:
            net.remove()

    return run


@pytest.mark.parametrize(
    ("steps", "losses", "ended"),
    [(None, [9.0, 0.001, 0.002], True), (None, [0.0, 0.001, 0.9], False), (9, [0.0, 0.001, 0.002], False)],
)
def test_steps_end_once_every_slot_has_learnt_unless_their_number_is_given(
    stepped: Callable[..., dict[str, Any]], steps: int | None, losses: list[float], ended: bool
) -> None:
    seen = stepped(Recipe(steps=steps), losses)
    assert seen["ended"] is ended
    assert seen["made"] == 7
    assert seen["told"] == (7, steps or Schedule.steps, {"loss": pytest.approx(sum(losses[1:]) / 2)})


def test_a_recipe_is_followed(stepped: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = stepped(Recipe(steps=9, rate=0.5, checkpoint=True, prefix=False, batch=3), [0.0, 1.0, 1.0])
    assert (seen["schedule"], seen["again"]) == (Schedule(9, 0.5), True)
    assert seen["draw"](0) is not seen["draw"](1)
    plain = stepped(Recipe(prefix=False), [0.0, 1.0, 1.0])
    assert (plain["schedule"], plain["again"]) == (Schedule(), False)
    assert plain["draw"](0) is plain["draw"](1)
    monkeypatch.setattr(module, "conversations", lambda net, chat, taught, *how: how)
    assert stepped(Recipe(seed=3, piece=70), [0.0, 1.0, 1.0])["draw"] == (3, 70)


@pytest.mark.parametrize(("piece", "context", "budget"), [(50, 90, 50), (90, 50, 50), (10**6, 10**6, PIECE)])
def test_a_conversation_is_as_long_as_is_taught_at_once_and_as_the_context_holds(
    tiny: Base, monkeypatch: pytest.MonkeyPatch, piece: int, context: int, budget: int
) -> None:
    net, seen = Grafted(tiny.model, "all-linear"), []
    drawn = random.Random(3)

    def spied(chat: Chat, shown: list[Example], most: int, order: random.Random) -> object:
        seen.append((most, order.getstate() == drawn.getstate()))
        return deal(chat, shown, most, order)

    monkeypatch.setattr(module, "deal", spied)
    try:
        conversations(net, Chat(tiny.chat.tokenizer, context), {1: examples("<")[:2]}, 3, piece)(0)
    finally:
        net.remove()
    assert seen == [(budget, True)]
