"""Where the bends go."""

from __future__ import annotations

import pytest

from headstart.errors import BaseRefused
from headstart.lm.load import Base
from headstart.teach.recipe import Recipe, graft

ATTENTION, MLP = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj")


def sites(base: Base, recipe: Recipe) -> set[str]:
    net = graft(base, recipe)
    net.remove()
    return set(net.sites)


def named(layer: int, *names: str) -> set[str]:
    return {f"model.layers.{layer}.{'self_attn' if name in ATTENTION else 'mlp'}.{name}" for name in names}


def test_the_default_bends_every_linear_of_the_upper_third(tiny: Base) -> None:
    assert tiny.layers == 4
    assert sites(tiny, Recipe()) == named(3, *ATTENTION, *MLP)


def test_a_target_without_layers_is_bent_in_all_of_them(tiny: Base) -> None:
    assert sites(tiny, Recipe(target=("q_proj", "v_proj"))) == {site for i in range(4) for site in named(i, "q_proj", "v_proj")}


def test_layers_without_a_target_are_bent_whole(tiny: Base) -> None:
    assert sites(tiny, Recipe(layers=(0, 2))) == named(0, *ATTENTION, *MLP) | named(2, *ATTENTION, *MLP)


def test_both_are_taken_together(tiny: Base) -> None:
    assert sites(tiny, Recipe(target=("up_proj",), layers=(1,))) == named(1, "up_proj")
    assert sites(tiny, Recipe(target=("all-linear",), layers=(1,))) == named(1, *ATTENTION, *MLP)


@pytest.mark.parametrize("recipe", [Recipe(target=("q_porj",)), Recipe(layers=(4,)), Recipe(target=("lm_head",))])
def test_what_is_not_there_is_refused(tiny: Base, recipe: Recipe) -> None:
    with pytest.raises(BaseRefused):
        graft(tiny, recipe)
