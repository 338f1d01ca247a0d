"""What may be chosen about an adaptation; the defaults need no choosing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.terms import ALL_LINEAR, ASKED, PIECE, SHOWN, upper_third

RANK = 8
"""Of a LoRA for which nobody asks for another, and that begins from no start."""


@final
@dataclass(frozen=True)
class Recipe:
    """Where the bends go and how long they are trained."""

    steps: int | None = None
    """Inner steps; None: up to the schedule's, ending early once the examples are learnt."""
    rate: float | None = None
    """Step size at its height; None: the schedule's."""
    rank: int | None = None
    """Rank of the LoRA; None: a start's, or `RANK`."""
    target: tuple[str, ...] | None = None
    """Names of linears; None: every linear of the upper third, the best score per second that was measured."""
    layers: tuple[int, ...] | None = None
    """Layers to bend; None: the upper third where no target is named, all where one is."""
    folds: int = 3
    """Parts in which examples are held out for the report; 0: no report."""
    learnt: float = 0.003
    """Training loss, in nats a token, at which the examples count as learnt."""
    checkpoint: bool = False
    """Compute bent layers again in the backward pass, in place of keeping what they computed: a third slower, a tenth of the memory."""
    piece: int = PIECE
    """Tokens that are taught at once."""
    batch: int | None = None
    """Examples of a step where each is taught alone, taken in turn; None: all of them."""
    asked: int = ASKED
    """Questions that are answered at once for the report."""
    prefix: bool = True
    """Teach with the examples in front of each other, and keep them in front of every prompt if held-out scores say that it pays."""
    seed: int = 0
    """Of the blank LoRA and of the folds."""


MANY = Recipe(steps=100, rate=0.01, batch=16, prefix=False)
"""How scratch is taught more examples than that, each alone: of two recipes for a hundred the better one on validation tasks."""


def shown(recipe: Recipe, examples: int) -> Recipe:
    """The recipe for so many examples: with more than `SHOWN` each is taught alone, and none kept in front."""
    return replace(recipe, prefix=recipe.prefix and examples <= SHOWN)


def from_scratch(recipe: Recipe, examples: int) -> Recipe:
    """The same where a blank LoRA is begun from.

    More than `SHOWN` by `MANY`, unless steps are asked for: the steps that suit ten would do it no justice.
    """
    recipe = shown(recipe, examples)
    if examples <= SHOWN or recipe.steps is not None:
        return recipe
    return replace(recipe, steps=MANY.steps, rate=recipe.rate or MANY.rate, batch=recipe.batch or MANY.batch)


def graft(base: Base, recipe: Recipe) -> Grafted:
    """The base with hooks where the recipe wants them."""
    layers = recipe.layers
    if layers is None and recipe.target is None:
        layers = tuple(upper_third(base.layers))
    return Grafted(base.model, recipe.target or ALL_LINEAR, layers, recipe.rank or RANK)
