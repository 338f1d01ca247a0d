"""Choosing a start by examples held out."""

import pytest
import torch

from headstart.bank import Weights
from headstart.episode import Example
from headstart.lm.load import Base
from headstart.teach import NONE, Beginning, Recipe, choose, graft, teach

EXAMPLES = [Example.pair(f"{word} please", word.upper()) for word in ("red", "tan", "blue", "grey", "pink", "teal")]
RECIPE = Recipe(steps=3, rank=4, folds=2)


@pytest.fixture(scope="module")
def good(tiny: Base) -> Weights:
    """Learned on all of the examples: what a start is to tasks like them."""
    return teach(tiny, EXAMPLES, Recipe(steps=40, rank=4, folds=0)).weights


def beginning(name: str, weights: Weights) -> Beginning:
    return Beginning(name, RECIPE, weights)


def test_a_start_that_knows_the_task_is_taken_and_one_that_harms_is_not(tiny: Base, good: Weights) -> None:
    harmful = {name: 3 * torch.randn(w.shape, generator=torch.Generator().manual_seed(0)) for name, w in good.items()}
    none = Beginning(NONE, RECIPE)
    chosen, losses = choose(tiny, EXAMPLES, [none, beginning("good", good), beginning("harmful", harmful)], lambda *_: None)
    assert chosen.name == "good"
    assert losses["good"] < losses[NONE] < losses["harmful"]
    assert choose(tiny, EXAMPLES, [none, beginning("harmful", harmful)], lambda *_: None)[0] == none
    assert not any(m._forward_hooks for m in tiny.model.modules())


def test_where_there_is_no_choice_nothing_is_tried(tiny: Base) -> None:
    ticks: list[tuple[int, int]] = []
    chosen, losses = choose(tiny, EXAMPLES, [Beginning(NONE, RECIPE)], lambda *told: ticks.append(told))
    assert (chosen.name, losses, ticks) == (NONE, {}, [])


def test_of_equals_the_first_is_taken(tiny: Base) -> None:
    net = graft(tiny, RECIPE)
    blank = net.blank(RECIPE.seed, RECIPE.rank)
    net.remove()
    chosen, losses = choose(tiny, EXAMPLES, [Beginning(NONE, RECIPE), beginning("blank", blank)], lambda *_: None)
    assert losses["blank"] == pytest.approx(losses[NONE])
    assert chosen.name == NONE
