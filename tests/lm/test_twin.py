"""A twin holds no weight of its own, and nothing done to one model is seen by the other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from headstart.bank import BASE, fill
from headstart.episode import Example
from headstart.lm.generate import Sampling, generate
from headstart.lm.graft import Grafted
from headstart.lm.load import Base, load
from headstart.lm.twin import twin
from headstart.teach import Recipe, teach

EXAMPLES = [Example.pair(f"{word} please", word.upper()) for word in ("red", "tan", "blue", "grey")]


@pytest.fixture(scope="module")
def own(base_folder: Path) -> Base:
    return load(str(base_folder), torch.float32)


def test_every_tensor_is_the_same_one_and_no_module_is(own: Base) -> None:
    other = twin(own)
    mine, its = dict(own.model.named_parameters()), dict(other.model.named_parameters())
    assert mine.keys() == its.keys()
    assert all(mine[name] is its[name] for name in mine)
    assert not {id(module) for module in own.model.modules()} & {id(module) for module in other.model.modules()}
    assert other.chat.tokenizer is not own.chat.tokenizer
    assert other.chat.prompt((("user", "red please"),)) == own.chat.prompt((("user", "red please"),))


def test_teaching_one_leaves_the_other_as_it_was(own: Base) -> None:
    other = twin(own)
    net = Grafted(own.model, "all-linear")
    try:
        bank, prompt = fill(net.blank(0), 1), own.chat.prompt((("user", "red please"),))
        before = generate(net, own.chat, bank, [BASE], [prompt], Sampling(8))
        taught = teach(other, EXAMPLES, Recipe(steps=2, folds=0))
        assert taught.steps == 2
        assert generate(net, own.chat, bank, [BASE], [prompt], Sampling(8)) == before
    finally:
        net.remove()
    assert not any(module._forward_hooks for module in other.model.modules())
