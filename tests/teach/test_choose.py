"""Choosing a start by examples held out."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch

from headstart.bank import Weights
from headstart.episode import Example
from headstart.errors import Diverged, ExamplesError
from headstart.lm.load import Base
from headstart.teach import NONE, Beginning, Recipe, Taught, graft, teach, teach_from
from headstart.teach import choose as choosing
from headstart.teach.choose import NEAR, _worth_trying, choose

EXAMPLES = [Example.pair(f"{word} please", word.upper()) for word in ("red", "tan", "blue", "grey", "pink", "teal")]
RECIPE = Recipe(steps=3, rank=4, folds=2)


@pytest.fixture(scope="module")
def good(tiny: Base) -> Weights:
    """Learned on all of the examples: what a start is to tasks like them."""
    return teach(tiny, EXAMPLES, Recipe(steps=40, rank=4, folds=0)).weights


def beginning(name: str, weights: Weights) -> Beginning:
    return Beginning(name, RECIPE, weights)


def test_a_start_that_knows_the_task_is_taken_and_one_that_harms_is_not(tiny: Base, good: Weights) -> None:
    harmful = {name: -w if name.endswith("lora_B") else w for name, w in good.items()}
    none = Beginning(NONE, RECIPE)
    chosen = choose(tiny, EXAMPLES, [none, beginning("good", good), beginning("harmful", harmful)], lambda *_: None)
    assert chosen.beginning.name == "good"
    assert (chosen.held, chosen.losses) == (None, {}), "near: nothing else was worth trying"
    assert chosen.glances["good"] < NEAR * chosen.glances[NONE] < chosen.glances["harmful"]
    alone = choose(tiny, EXAMPLES, [none, beginning("harmful", harmful)], lambda *_: None)
    assert alone.beginning is none
    assert alone.losses[NONE] < alone.losses["harmful"]
    assert not any(m._forward_hooks for m in tiny.model.modules())


@pytest.mark.parametrize(
    ("glances", "tried"),
    [
        ({"none": 2.0, "a": 1.3, "b": 1.9}, ["a"]),
        ({"none": 2.0, "a": 1.5, "b": 1.6}, ["none", "a", "b"]),
        ({"none": 2.0, "a": 1.5, "b": 1.7}, ["none", "a"]),
        ({"none": 2.0, "a": 2.3, "b": 2.5}, ["none", "a"]),
        ({"none": 2.0, "a": 2.5, "b": 2.5}, ["none"]),
        ({"a": 9.0, "b": 2.5}, ["b"]),
    ],
)
def test_a_glance_rules_out_what_is_far_and_none_where_a_start_is_near(glances: dict[str, float], tried: list[str]) -> None:
    beginnings = [Beginning(name, RECIPE, None if name == NONE else {}) for name in glances]
    assert [it.name for it in _worth_trying(beginnings, glances)] == tried


def test_where_weights_are_to_stand_alone_none_is_tried_beside_the_nearest_start() -> None:
    recipe = replace(RECIPE, prefix=False)
    beginnings = [Beginning(NONE, recipe), Beginning("a", recipe, {})]
    assert [it.name for it in _worth_trying(beginnings, {NONE: 2.0, "a": 0.5})] == [NONE, "a"]


def test_none_begins_from_a_blank_lora_by_its_recipe(tiny: Base) -> None:
    net = graft(tiny, RECIPE)
    try:
        blank, wanted = Beginning(NONE, replace(RECIPE, seed=3)).on(net), net.blank(3)
    finally:
        net.remove()
    assert net.rank == RECIPE.rank
    assert all(torch.equal(w, wanted[name]) for name, w in blank.items())


def test_where_there_is_no_choice_nothing_is_tried(tiny: Base) -> None:
    told: list[tuple[str, int, int, Mapping[str, float]]] = []
    chosen = choose(tiny, EXAMPLES, [Beginning(NONE, RECIPE)], lambda *it: told.append(it))
    assert (chosen.beginning.name, chosen.held, chosen.losses, told) == (NONE, None, {}, [])


def test_of_equals_the_first_is_taken(tiny: Base) -> None:
    net = graft(tiny, RECIPE)
    blank = net.blank(RECIPE.seed)
    net.remove()
    chosen = choose(tiny, EXAMPLES, [Beginning(NONE, RECIPE), beginning("blank", blank)], lambda *_: None)
    assert chosen.losses["blank"] == pytest.approx(chosen.losses[NONE])
    assert chosen.beginning.name == NONE


@pytest.mark.parametrize("near", [NEAR, 0.0], ids=["one is worth trying", "both are"])
def test_each_beginning_is_held_out_once_and_the_report_is_of_the_best(
    tiny: Base, good: Weights, near: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "NEAR", near)
    steps: list[str] = []
    both = [Beginning(NONE, RECIPE), beginning("good", good)]
    early: list[Taught] = []
    taught = teach_from(tiny, EXAMPLES, both, lambda what, *_: steps.append(what), early.append)
    looked, check, ask = ["looking at starts"] * 2, "checking on held-out examples", "asking what was held out"
    if near:
        assert steps[:8] == [*looked, *["adapting"] * 3, *[check] * 3]
    else:
        assert steps[:11] == [*looked, *[f"{check}, from none"] * 3, *[f"{check}, from good"] * 3, *["adapting"] * 3]
    assert set(steps[8 if near else 11 :]) == {ask}
    assert (len(early), early[0].report, early[0].prefix) == (1, None, tuple(EXAMPLES))
    assert all(torch.equal(w, early[0].weights[name]) for name, w in taught.weights.items())
    alone = teach(tiny, EXAMPLES, RECIPE, good)
    assert taught.beginning.name == "good"
    assert alone.report
    assert taught.report == replace(alone.report, chosen=not near)
    assert all(torch.equal(w, alone.weights[name]) for name, w in taught.weights.items())


@pytest.mark.parametrize("steps", [1, 3], ids=["after the last step", "on the way"])
def test_a_start_that_diverges_is_passed_over(tiny: Base, good: Weights, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "NEAR", 0.0)
    wild = Beginning("wild", replace(RECIPE, steps=steps, rate=1e30), good)
    chosen = choose(tiny, EXAMPLES, [wild, Beginning(NONE, RECIPE)], lambda *_: None)
    assert (chosen.beginning.name, set(chosen.losses)) == (NONE, {NONE})
    assert not any(m._forward_hooks for m in tiny.model.modules())
    with pytest.raises(Diverged, match=r"no longer a number|is no number"):
        choose(tiny, EXAMPLES, [wild, replace(wild, name="wilder")], lambda *_: None)


def test_a_start_under_which_nothing_is_a_number_is_passed_over(tiny: Base, good: Weights) -> None:
    broken = {name: w * torch.nan for name, w in good.items()}
    told: list[Mapping[str, float]] = []
    chosen = choose(tiny, EXAMPLES, [beginning("broken", broken), Beginning(NONE, RECIPE)], lambda *it: told.append(it[3]))
    assert chosen.beginning.name == NONE
    assert set(chosen.glances) == {NONE}
    assert json.dumps([chosen.glances, chosen.losses, *map(dict, told)], allow_nan=False)


def test_examples_are_checked_before_anything_is_tried(tiny: Base, good: Weights) -> None:
    endless = Example.pair("x " * 5000, "y")
    with pytest.raises(ExamplesError, match="does not fit the model's context"):
        teach_from(tiny, [*EXAMPLES, endless], [Beginning(NONE, RECIPE), beginning("good", good)])


@pytest.mark.parametrize("prefix", [True, False])
def test_the_loss_that_chooses_is_the_report_s(tiny: Base, good: Weights, prefix: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "NEAR", 0.0)
    recipe = replace(RECIPE, prefix=prefix)
    taught = teach_from(tiny, EXAMPLES, [Beginning(NONE, recipe), Beginning("good", recipe, good)])
    ways = taught.report.ways if taught.report else {}
    assert taught.losses["good"] == pytest.approx(min(ways[way].loss for way in ways if way in ("weights", "prefixed")))
