"""What teaching will cost, before it is begun: seconds and bytes of every way in which it may begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from headstart.episode import Example
from headstart.lm.load import Base
from headstart.plan.cards import Place
from headstart.plan.clock import STEPS, Speed, times
from headstart.plan.setting import Setting
from headstart.plan.shape import Shape
from headstart.plan.verdict import Verdict, judge
from headstart.teach.recipe import Recipe
from headstart.teach.room import beside, model_of, setting_of
from headstart.train.evaluate import mean


@final
@dataclass(frozen=True)
class Cost:
    """Of one adapter with its report, the base being loaded."""

    least_seconds: float
    """Where one way to begin is tried."""
    most_seconds: float
    """Where each of them is."""
    bytes: int
    """At the height, beside the base and the program."""
    free_bytes: int
    """That a program may have now."""
    verdict: Verdict
    source: str
    """Where the speed is from."""


def cost(base: Base, examples: Sequence[Example], recipes: Sequence[Recipe], speed: Speed, place: Place, scratch: bool = False) -> Cost:
    """What `teach_from` will take.

    Args:
        base: loaded; its tokenizer is used, and its weights are not touched.
        examples: what would be taught, two at least.
        recipes: of all the ways to begin among which it would choose.
        speed: of this machine.
        place: this machine.
        scratch: whether adapters from scratch are wanted in the report too.

    Raises:
        BaseRefused: a family that cannot be forecast.
        ExamplesError: an example that the chat template refuses.
    """
    model, settings = model_of(base), [setting_of(base, examples, it) for it in recipes]
    length = round(mean([len(base.chat.lay(it)) for it in examples]))
    each = [_seconds(model.shape, replace(it, length=length), recipe, speed) for it, recipe in zip(settings, recipes, strict=True)]
    held, final, asked = zip(*each, strict=True)
    more = 0.0
    if scratch:
        # As often as from the start that takes longest, at the schedule's own number of steps.
        more = max(held) * STEPS / min(recipe.steps or STEPS for recipe in recipes) + asked[0]
    least = min(a + b for a, b, _ in each) + min(asked) + more
    most = sum(held) + max(final) + max(asked) + more
    peak = max(beside(model, it, place) for it in settings)
    return Cost(least, most, peak, place.memory, judge(peak, place), speed.source)


def _seconds(shape: Shape, setting: Setting, recipe: Recipe, speed: Speed) -> tuple[float, float, float]:
    """To teach the folds, to teach the adapter, and to ask what was held out."""
    it, share = times(shape, setting, speed), (recipe.steps or STEPS) / STEPS
    return it.report * share, it.adapt * share, it.answers
