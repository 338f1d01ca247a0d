"""From where to begin: what a name of a start stands for, with the steps and the rate that suit it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from headstart.adapters.peft import rank_of
from headstart.adapters.starts import Start, Starts
from headstart.adapters.store import BaseKey
from headstart.adapters.wear import graft_for, key_of
from headstart.bank import sites_of
from headstart.lm.load import Base
from headstart.teach import NONE, Beginning, Recipe
from headstart.teach.recipe import from_scratch, shown

AUTO = "auto"
Tell = Callable[[str], None]


def beginnings(base: Base, start: str, recipe: Recipe, tell: Tell, examples: int) -> list[Beginning]:
    """What `--start` asks for: one start, none, or for auto every start that fits the base, and none.

    Args:
        base: a loaded base.
        start: a name, `auto` or `none`.
        recipe: what was asked for besides.
        tell: told of each start that is broken, and where none is tried though some would fit.
        examples: how many are to be taught.

    Raises:
        NameRefused, AdapterRefused: no such start, or not for this base.
    """
    recipe, none = shown(recipe, examples), Beginning(NONE, from_scratch(recipe, examples))
    if start == NONE:
        return [none]
    starts, key = Starts(), key_of(base)
    if start == AUTO:
        fitting, broken = starts.fitting(key)
        if formed := _formed(recipe):
            if fitting:
                tell(f"No start is tried: each brings its own rank and sites. Leave {formed} out to have them.")
            return [none]
        for problem in broken:
            tell(f"A start is passed over: {problem}")
        return [none, *(begun(base, it, recipe) for it in fitting)]
    return [begun(base, starts.read(start, key), recipe)]


def _formed(recipe: Recipe) -> str:
    """The options that ask for another form than a start's; empty: none."""
    asked = {"--rank": recipe.rank is not None, "--target": bool(recipe.target), "--layers": bool(recipe.layers)}
    return " and ".join(option for option, given in asked.items() if given)


def recipes(key: BaseKey, start: str, recipe: Recipe, examples: int) -> dict[str, Recipe]:
    """The recipe of each beginning that `beginnings` would give, by name, without a base: for forecasts.

    Raises:
        NameRefused, AdapterRefused: no such start, or not for this base.
    """
    starts, recipe, none = Starts(), shown(recipe, examples), from_scratch(recipe, examples)
    if start == NONE:
        return {NONE: none}
    if start == AUTO:
        return {NONE: none} | {it.name: suited(it, recipe) for it in starts.fitting(key)[0]}
    return {start: suited(starts.read(start, key), recipe)}


def begun(base: Base, start: Start, recipe: Recipe) -> Beginning:
    """A start with the steps and the rate that suit it, unless others were asked for.

    Raises:
        AdapterRefused: the base lacks one of its sites.
    """
    graft_for(base, start.name, start.weights).remove()
    return Beginning(start.name, suited(start, recipe), start.weights)


def suited(start: Start, recipe: Recipe) -> Recipe:
    """A start's rank and sites, with the steps and the rate that suit how examples are shown, unless others were asked for."""
    sites = tuple(sites_of(start.weights))
    stride = start.behind if recipe.prefix else start.alone
    steps = stride.steps if recipe.steps is None else recipe.steps
    return replace(recipe, rank=rank_of(start.weights), target=sites, steps=steps, rate=recipe.rate or stride.rate)
