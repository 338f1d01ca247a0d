"""How long it would take, from arithmetic and bandwidth: what a place could do, at the share of it that programs reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from headstart.plan.cards import Place
from headstart.plan.forecast import base_bytes
from headstart.plan.setting import Setting
from headstart.plan.shape import Shape

STEPS = 20
"""Steps of an adapter, as `headstart.train.adapt` has them."""
SPARE = 16
"""Tokens that a wrong answer may run on, as `headstart.teach` has them."""
REACHED = 0.4
"""Share of a card's arithmetic and bandwidth that is counted on; an assumption, as no card has been measured here."""


@final
@dataclass(frozen=True)
class Speed:
    """What a place does."""

    arithmetic: float
    """Operations a second."""
    bandwidth: float
    """Bytes a second."""
    source: str


@final
@dataclass(frozen=True)
class Times:
    """Seconds, without loading the base."""

    adapt: float
    """The adapter itself."""
    report: float
    """The folds that are taught beside it for the report."""
    token: float
    """One token of one answer."""
    answers: float
    """What the folds are asked for the report, in each way."""


def speed(place: Place) -> Speed | None:
    """Of a card in the table; None where one of its figures is not known."""
    if place.arithmetic is None or place.bandwidth is None:
        return None
    return Speed(REACHED * place.arithmetic, REACHED * place.bandwidth, f"{REACHED:.0%} of the maker's figures, which is assumed")


def times(shape: Shape, setting: Setting, speed: Speed) -> Times:
    """Of teaching and of answering."""
    read = 2 * base_bytes(shape, setting.precision)
    pieces = -(-setting.examples * setting.length // setting.piece)
    step = max(operations(shape, setting) / speed.arithmetic, pieces * read / speed.bandwidth)
    folds = min(setting.folds, setting.examples)
    token = base_bytes(shape, setting.precision) / speed.bandwidth
    asked = _asked(setting, folds, reading(shape, speed), token) if folds else 0.0
    return Times(STEPS * step, STEPS * step * max(0, folds - 1), token, asked)


def operations(shape: Shape, setting: Setting) -> float:
    """Of one step of one adapter.

    Every token costs two operations a weight forward, below the lowest bent layer too; as many again backward for the gradient of its
    input in bent layers, and forward once more where layers are computed again.
    """
    linears, head = _linears(shape), shape.width * shape.vocabulary
    upper = linears * (shape.layers - setting.lowest)
    each = 2 * linears * shape.layers + 2 * upper + (2 * upper if setting.checkpoint else 0)
    return setting.examples * (setting.length * each + setting.answer * 4 * head)


def reading(shape: Shape, speed: Speed) -> float:
    """Seconds a token without a gradient."""
    return 2 * _linears(shape) * shape.layers / speed.arithmetic


def _linears(shape: Shape) -> int:
    """Weights of a layer."""
    return sum(it.width_in * it.width_out for it in shape.linears)


def _asked(setting: Setting, folds: int, reads: float, token: float) -> float:
    """The base and the adapters alone, those of all folds at once; then behind the examples that a fold has left, fold by fold.

    The bare base says nothing that ends; every other way, as much as an answer has.
    """
    questions, behind = setting.examples, 2 if setting.prefix else 1
    rounds, behind_rounds = -(-questions // setting.asked), folds * -(-questions // (folds * setting.asked))
    read = questions * setting.length * (2 + behind * folds)
    grown = rounds * (2 * setting.answer + SPARE) + behind * behind_rounds * setting.answer
    return read * reads + grown * token
