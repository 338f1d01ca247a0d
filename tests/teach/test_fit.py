"""Slots taught beside each other learn what they learn alone; and steps take as many examples as they are told to."""

import torch

from headstart.bank import take
from headstart.episode import Example
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.teach.fit import fit, pairs
from headstart.teach.recipe import Recipe

WORDS = ("red", "tan", "blue", "grey", "pink", "teal", "gold", "lime")


def examples(mark: str) -> list[Example]:
    return [Example.pair(word, mark + word.upper()) for word in WORDS]


def test_conversations_of_slots_together_are_those_of_each_alone(tiny: Base) -> None:
    net, recipe = Grafted(tiny.model, "all-linear"), Recipe(steps=3, rate=0.01)
    try:
        begin = net.blank(0, 4)
        both, _ = fit(net, tiny.chat, begin, {1: examples("<"), 2: examples("#")}, recipe, lambda *_: None)
        for slot, mark in ((1, "<"), (2, "#")):
            alone, _ = fit(net, tiny.chat, begin, {1: examples(mark)}, recipe, lambda *_: None)
            for name, weight in take(alone, 1).items():
                torch.testing.assert_close(both[name][slot], weight, atol=2e-4, rtol=1e-3)
    finally:
        net.remove()


def test_no_step_leaves_the_start_as_it_is(tiny: Base) -> None:
    net = Grafted(tiny.model, "all-linear")
    try:
        begin = net.blank(0, 4)
        bank, steps = fit(net, tiny.chat, begin, {1: examples("<")}, Recipe(steps=0), lambda *_: None)
    finally:
        net.remove()
    assert steps == 0
    assert all(torch.equal(bank[name][1], weight) for name, weight in begin.items())


def test_a_step_of_three_takes_the_next_three_counted_round(tiny: Base) -> None:
    net = Grafted(tiny.model, "all-linear")
    taught, whole = {1: examples("<")}, Recipe(prefix=False)
    try:
        bank = {name: torch.stack([torch.zeros_like(w), w]) for name, w in net.blank(0, 4).items()}
        few = pairs(net, tiny.chat, taught, whole.piece, 3)
        for step, shown in ((0, [0, 1, 2]), (2, [6, 7, 0])):
            wanted = pairs(net, tiny.chat, {1: [taught[1][i] for i in shown]}, whole.piece)
            got, want = (sum(piece(bank)[1].item() for piece in draw(step)) for draw in (few, wanted))
            assert abs(got - want) < 1e-5
        as_many = pairs(net, tiny.chat, taught, whole.piece, len(WORDS))
        assert as_many(0) is as_many(1)
    finally:
        net.remove()
