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
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.lm.objective import lower, objective
from headstart.lm.packed import reader
from headstart.lm.places import Places, Turn
from headstart.plan.clock import Speed, operations
from headstart.plan.forecast import base_bytes
from headstart.plan.setting import Setting
from headstart.teach.recipe import Recipe, graft
from headstart.teach.room import model_of, precision_of
from headstart.train.adapt import Piece, Schedule, adapt

_SHORT, _LONG = 32, 128
"""Tokens of a step: the second is timed, unless the first, which also warms up, has taken long enough already."""
_ENOUGH = 1.0
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
        for length in (_SHORT, _LONG):
            setting = Setting(precision, lowest=net.cut, examples=1, length=length, answer=length // 4)
            seconds = _timed(partial(_step, net, setting))
            if seconds > _ENOUGH:
                break
        token = _token(net)
    finally:
        net.remove()
    source = f"measured here on the base, {torch.get_num_threads()} threads, {str(base.model.dtype).removeprefix('torch.')}"
    return Speed(operations(shape, setting) / seconds, base_bytes(shape, precision) / token, source)


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
        seconds = [_timed(lambda: read(places, {}, turns).argmax(-1).tolist()) for _ in range(_TOKENS)]
    return sum(seconds[1:]) / (_TOKENS - 1)


def _timed(work: Callable[[], object]) -> float:
    since = time.perf_counter()
    work()
    return time.perf_counter() - since
