"""From where to begin: what a name of a start stands for, with the steps and the rate that suit it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from headstart.adapters.starts import Start, Starts
from headstart.adapters.wear import graft_for, key_of
from headstart.lm.load import Base
from headstart.teach import NONE, Beginning, Recipe

AUTO = "auto"
Tell = Callable[[str], None]


def beginnings(base: Base, start: str, recipe: Recipe, tell: Tell) -> list[Beginning]:
    """What `--start` asks for: one start, none, or for auto every start that fits the base, and none.

    Args:
        base: a loaded base.
        start: a name, `auto` or `none`.
        recipe: what was asked for besides.
        tell: told of each start that is broken.

    Raises:
        NameRefused, AdapterRefused: no such start, or not for this base.
    """
    none = Beginning(NONE, recipe)
    if start == NONE or (start == AUTO and (recipe.target or recipe.layers or recipe.rank != Recipe.rank)):
        return [none]
    starts, key = Starts(), key_of(base)
    if start == AUTO:
        fitting, broken = starts.fitting(key)
        for problem in broken:
            tell(f"A start is passed over: {problem}")
        return [none, *(begun(base, it, recipe) for it in fitting)]
    return [begun(base, starts.read(start, key), recipe)]


def begun(base: Base, start: Start, recipe: Recipe) -> Beginning:
    """A start with the steps and the rate that suit it, unless others were asked for.

    Raises:
        AdapterRefused: the base lacks one of its sites.
    """
    graft_for(base, start.name, start.weights).remove()
    sites = tuple(dict.fromkeys(key.rpartition(".")[0] for key in start.weights))
    steps, rate = recipe.steps or start.steps, recipe.rate or start.rate
    return Beginning(start.name, replace(recipe, target=sites, steps=steps, rate=rate), start.weights)
