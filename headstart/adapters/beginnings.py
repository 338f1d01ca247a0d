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
    found = foreseen(key_of(base), start, recipe, tell, examples)
    for it in found:
        if it.weights is not None:
            # Refused where the base lacks one of its sites.
            graft_for(base, it.name, it.weights).remove()
    return found


def foreseen(key: BaseKey, start: str, recipe: Recipe, tell: Tell, examples: int) -> list[Beginning]:
    """The same without a base, whose sites are not looked at: for forecasts.

    Raises:
        NameRefused, AdapterRefused: as `beginnings`.
    """
    recipe, none = shown(recipe, examples), Beginning(NONE, from_scratch(recipe, examples))
    if start == NONE:
        return [none]
    starts = Starts()
    if start != AUTO:
        return [begun(starts.read(start, key), recipe)]
    fitting, broken = starts.fitting(key)
    if formed := _formed(recipe):
        if fitting:
            tell(f"No start is tried: each brings its own rank and sites. Leave {formed} out to have them.")
        return [none]
    for problem in broken:
        tell(f"A start is passed over: {problem}")
    return [none, *(begun(it, recipe) for it in fitting)]


def _formed(recipe: Recipe) -> str:
    """The options that ask for another form than a start's; empty: none."""
    asked = {"--rank": recipe.rank is not None, "--target": bool(recipe.target), "--layers": bool(recipe.layers)}
    return " and ".join(option for option, given in asked.items() if given)


def begun(start: Start, recipe: Recipe) -> Beginning:
    """A start, its rank and sites, with the steps and the rate that suit how examples are shown, unless others were asked for."""
    stride = start.behind if recipe.prefix else start.alone
    steps = stride.steps if recipe.steps is None else recipe.steps
    sites = tuple(sites_of(start.weights))
    its = replace(recipe, rank=rank_of(start.weights), target=sites, steps=steps, rate=recipe.rate or stride.rate)
    return Beginning(start.name, its, start.weights)
