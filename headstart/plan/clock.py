"""How long it would take, from arithmetic and bandwidth: what a place could do, at the share of it that programs reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from headstart.plan import operators
from headstart.plan.cards import Place
from headstart.plan.forecast import base_bytes
from headstart.plan.moments import conversations
from headstart.plan.setting import Setting, adapter_numbers
from headstart.plan.shape import Shape
from headstart.terms import SPARE, STEPS

REACHED = 0.4
"""Share of a card's arithmetic and bandwidth that is counted on; an assumption, as no setting was measured in which they were the limit."""
CALL = 2e-5
"""Seconds that an operator takes to be launched, through transformers, hooks and autograd: 15 to 30 millionths in all that was timed beside
an H200, 19 on an EPYC with nothing to compute. It is the processor's doing, whatever card stands beside it."""


@final
@dataclass(frozen=True)
class Speed:
    """What a place does."""

    arithmetic: float
    """Operations a second."""
    bandwidth: float
    """Bytes a second."""
    source: str
    call: float = 0.0
    """Seconds to launch an operator; 0: the others hold it already."""
    apart: bool = False
    """Whether what was launched is computed elsewhere meanwhile, as on a GPU."""

    def both(self, computed: float, launched: float) -> float:
        """Seconds of computing, and of launching so many operators for it."""
        launching = launched * self.call
        return max(computed, launching) if self.apart else computed + launching


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
    source = f"{REACHED:.0%} of the maker's figures, which is assumed, and {CALL * 1e6:.0f} µs to launch an operator, as beside one H200"
    return Speed(REACHED * place.arithmetic, REACHED * place.bandwidth, source, CALL, apart=place.gpu)


def times(shape: Shape, setting: Setting, speed: Speed, steps: int = STEPS) -> Times:
    """Of teaching, in so many steps, and of answering."""
    weights = base_bytes(shape, setting.precision)
    pieces = operators.pieces(shape, setting)
    computed = max(operations(shape, setting, steps) / speed.arithmetic, pieces * 2 * weights / speed.bandwidth)
    step = speed.both(computed, operators.of_a_step(shape, setting, steps))
    folds = min(setting.folds, setting.examples)
    token = speed.both(weights / speed.bandwidth, operators.of_a_token(shape, setting))
    asked = _asked(setting, folds, reading(shape, speed), token) if folds else 0.0
    return Times(steps * step, steps * step * max(0, folds - 1), token, asked)


def operations(shape: Shape, setting: Setting, steps: int = STEPS) -> float:
    """Of one step of one adapter, in so many.

    Every token costs two operations a weight forward, in the layers below the lowest bent one too, unless their output is kept; as many
    again backward for the gradient of its input in bent layers, and forward once more where layers are computed again. An adapter's numbers
    have gradients of their own. Attention multiplies each token twice by the half of its row that stands before it on average, and five
    times backward, as fused kernels do.
    """
    linears, head = _linears(shape), shape.width * shape.vocabulary
    rows = conversations(shape, setting, setting.examples)
    tokens, seen = sum(rows), 2 * shape.heads * shape.head * sum(length * length for length in rows)
    upper, lower = shape.layers - setting.lowest, setting.lowest * operators.lower_share(setting, steps)
    again = 1 if setting.checkpoint else 0
    weights = 2 * linears * tokens * (lower + upper * (2 + again))
    attention = seen * (lower + upper * (3.5 + again))
    adapters = (6 + 2 * again) * adapter_numbers(shape, setting) * tokens
    return weights + attention + adapters + setting.examples * setting.answer * 4 * head


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
