"""How fast this machine works with this very base: a step of teaching and a token of several answers, timed.

Products alone say little. Where they are fast, most of a step is norms, attention, adapters and calls, and a token is twice to thrice as
long as it takes to read the weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch

from headstart.bank import fill
from headstart.lm.batch import Encoded
from headstart.lm.generate import likeliest
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.lm.objective import lower, objective
from headstart.lm.packed import reader
from headstart.lm.places import Places, Turn
from headstart.plan.clock import CALL, Speed, operations
from headstart.plan.forecast import base_bytes
from headstart.plan.operators import of_a_step, of_a_token
from headstart.plan.setting import Setting
from headstart.teach.recipe import Recipe, graft
from headstart.teach.room import model_of, precision_of
from headstart.terms import ALL_LINEAR, STEPS, counted
from headstart.train.adapt import Piece, Schedule, adapt

_SHORT, _LONG = 32, 128
"""Tokens of a step: the first warms up, as a cold one takes several times as long; then the second is timed, or the first once more where
it took very long already. That makes jobs two to three times too long: with so few tokens most of a step is reading the weights."""
_ENOUGH = 4.0
_ROWS, _TOKENS = 4, 4
"""Answers that grow side by side, and by how much; the first token is not timed."""


def measure(base: Base) -> Speed:
    """Operations and bytes a second, as the planner counts them; takes a second or two, longer where a step does.

    Args:
        base: bare, and nobody else's for that long.

    Raises:
        BaseRefused: a family whose steps cannot be counted.
    """
    shape, precision = model_of(base).shape, precision_of(base)
    net = graft(base, Recipe())
    try:
        short, long = (
            Setting(precision, target=(ALL_LINEAR,), lowest=net.cut, examples=1, length=length, answer=length // 4)
            for length in (_SHORT, _LONG)
        )
        setting = short if _timed(partial(_step, net, short)) > _ENOUGH else long
        seconds = _beside(_timed(partial(_step, net, setting)), of_a_step(shape, setting, STEPS))
        token = _beside(_token(net), of_a_token(shape, setting))
    finally:
        net.remove()
    source = f"measured here on the base, {counted(torch.get_num_threads(), 'thread')}, {str(base.model.dtype).removeprefix('torch.')}"
    return Speed(operations(shape, setting) / seconds, base_bytes(shape, precision) / token, source, CALL)


def _beside(seconds: float, launched: float) -> float:
    """What is left for computing where so many operators were launched; half at the least, as they may take less here."""
    return max(seconds - launched * CALL, seconds / 2)


def _step(net: Grafted, setting: Setting) -> None:
    asked = setting.length - setting.answer
    row = Encoded((0,) * asked, (0,) * setting.answer)

    def draw(_: int) -> list[Piece]:
        return objective(net, [(1, row)], 2, lower(net, [row]))

    adapt(fill(net.blank(0), 1), draw, Schedule(steps=1))


def _token(net: Grafted) -> float:
    read, places = reader(net), Places(_ROWS, _TOKENS)
    turns = [Turn(places.join([], 0), 0, (0,)) for _ in range(_ROWS)]
    with torch.inference_mode():
        seconds = [_timed(lambda: likeliest(read(places, {}, turns))) for _ in range(_TOKENS)]
    return sum(seconds[1:]) / (_TOKENS - 1)


def _timed(work: Callable[[], object]) -> float:
    since = time.perf_counter()
    work()
    return time.perf_counter() - since
