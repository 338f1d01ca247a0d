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
WAYS, SPARE = 4, 16
"""Ways that the report asks in, and the tokens that a wrong answer may run on, as `headstart.teach` has them."""
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
    """What the folds are asked for the report: in each way, until the longest answer has ended."""


def speed(place: Place) -> Speed | None:
    """Of a card in the table; None where one of its figures is not known."""
    if place.arithmetic is None or place.bandwidth is None:
        return None
    return Speed(REACHED * place.arithmetic, REACHED * place.bandwidth, f"{REACHED:.0%} of the maker's figures, which is assumed")


def times(shape: Shape, setting: Setting, speed: Speed) -> Times:
    """Of teaching and of answering.

    Every token costs two operations a weight forward, below the lowest bent layer too; as many again backward for the gradient of its
    input in bent layers, and forward once more where layers are computed again.
    """
    linears = sum(it.width_in * it.width_out for it in shape.linears)
    head = shape.width * shape.vocabulary
    upper = linears * (shape.layers - setting.lowest)
    each = 2 * linears * shape.layers + 2 * upper + (2 * upper if setting.checkpoint else 0)
    shown = setting.examples * setting.length * each + setting.examples * setting.answer * 4 * head
    read = 2 * base_bytes(shape, setting.precision)
    pieces = -(-setting.examples * setting.length // setting.piece)
    step = max(shown / speed.arithmetic, pieces * read / speed.bandwidth)
    folds = min(setting.folds, setting.examples)
    token = base_bytes(shape, setting.precision) / speed.bandwidth
    asked = folds * (WAYS if setting.prefix else WAYS - 1) * (setting.answer + SPARE) * token
    return Times(STEPS * step, STEPS * step * max(0, folds - 1), token, asked)
