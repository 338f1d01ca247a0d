"""What teaching will cost, before it is begun: seconds and bytes of every way in which it may begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from headstart.episode import Example
from headstart.lm.load import Base
from headstart.plan.cards import Place
from headstart.plan.clock import Speed, reading, times
from headstart.plan.setting import Setting
from headstart.plan.verdict import Verdict, rungs
from headstart.teach.recipe import Recipe, from_scratch
from headstart.teach.room import beside, first_rung, model_of, setting_of
from headstart.terms import STEPS
from headstart.train.evaluate import mean


@final
@dataclass(frozen=True)
class Cost:
    """Of one adapter with its report, the base being loaded."""

    least_seconds: float
    """Where one way to begin is tried."""
    most_seconds: float
    """Where each of them is."""
    ready_least_seconds: float
    """Until the adapter is there, its report to come, where one way alone is worth trying."""
    ready_most_seconds: float
    """Where they all are."""
    bytes: int
    """At the height, beside the base and the program; where memory is short, of the first way that fits in it."""
    free_bytes: int
    """That a program may have now."""
    verdict: Verdict
    """As `within` takes it: `tight` is taught with time given up."""
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
    each = [_parts(base, examples, it, speed) for it in recipes]
    ready_least, ready_most = min(it.final for it in each), max(it.final for it in each)
    least, most = min(it.all for it in each), max(it.all for it in each)
    if len(each) > 1:
        glances, tried = sum(it.glance for it in each), sum(it.held + it.compared for it in each)
        ready_least, ready_most = ready_least + glances, ready_most + glances + tried
        # The report is of folds that are there already.
        least, most = least + glances, glances + tried + max(it.final + it.asked for it in each)
    if scratch:
        it = _parts(base, examples, from_scratch(Recipe(prefix=recipes[0].prefix), len(examples)), speed)
        least, most = least + it.held + it.asked, most + it.held + it.asked
    needs = [max(beside(model, it, place) for _, it in rung) for rung in zip(*map(rungs, settings), strict=True)]
    number = first_rung(needs, place)
    verdict: Verdict = "no" if number is None else "tight" if number else "fits"
    return Cost(least, most, ready_least, ready_most, min(needs) if number is None else needs[number], place.memory, verdict, speed.source)


@final
@dataclass(frozen=True)
class _Parts:
    """Seconds of one way to begin."""

    glance: float
    held: float
    """To teach the folds."""
    compared: float
    """To tell how it does on what was held out, where there are others."""
    asked: float
    """To ask that for the report."""
    final: float
    """To teach the adapter."""

    @property
    def all(self) -> float:
        """Where there is no other way."""
        return self.final + self.held + self.asked


def _parts(base: Base, examples: Sequence[Example], recipe: Recipe, speed: Speed) -> _Parts:
    setting, shape = _typical(base, examples, recipe), model_of(base).shape
    steps, each = STEPS if recipe.steps is None else recipe.steps, min(recipe.batch or setting.examples, setting.examples)
    # Of many examples a step takes a few; they are asked all.
    it, asked = times(shape, replace(setting, examples=each), speed, steps), times(shape, setting, speed, steps).answers
    once = setting.examples * setting.length * reading(shape, speed)
    # Each example alone; and behind those of its fold, which are read once.
    compared = once * (1 + setting.folds * recipe.prefix)
    return _Parts(once, it.report, compared, asked, it.adapt)


def _typical(base: Base, examples: Sequence[Example], recipe: Recipe) -> Setting:
    """The examples in the mean, where memory goes by the longest. In front of each other they share the template's overhead."""
    laid = [base.chat.lay(it) for it in examples]
    tokens = len(base.chat.chain(examples)) if recipe.prefix else sum(len(it) for it in laid)
    length, answer = round(tokens / len(laid)), round(mean([len(it.completion) for it in laid]))
    return replace(setting_of(base, examples, recipe), length=length, answer=min(answer, length), head=0)
