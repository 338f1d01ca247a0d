"""How fast a machine works with a base: what is counted on, and that the base is left as it was."""

from collections.abc import Callable

import pytest

from headstart.lm.load import Base
from headstart.plan.clock import CALL, operations
from headstart.plan.forecast import base_bytes
from headstart.plan.operators import of_a_step, of_a_token
from headstart.plan.setting import Setting
from headstart.teach import pace
from headstart.teach.recipe import Recipe, graft
from headstart.teach.room import model_of
from headstart.terms import ALL_LINEAR, STEPS


@pytest.mark.parametrize(("seconds", "length"), [(0.5, 128), (5.0, 32)])
def test_a_step_and_a_token_are_what_they_took(tiny: Base, monkeypatch: pytest.MonkeyPatch, seconds: float, length: int) -> None:
    def timed(work: Callable[[], object]) -> float:
        work()
        return seconds

    monkeypatch.setattr(pace, "_timed", timed)
    found, shape, net = pace.measure(tiny), model_of(tiny).shape, graft(tiny, Recipe())
    net.remove()
    setting = Setting("fp32", target=(ALL_LINEAR,), lowest=net.cut, examples=1, length=length, answer=length // 4)
    step, token = of_a_step(shape, setting, STEPS) * CALL, of_a_token(shape, setting) * CALL
    assert found.arithmetic == pytest.approx(operations(shape, setting) / (seconds - step))
    assert found.bandwidth == pytest.approx(base_bytes(shape, "fp32") / (seconds - token))
    computed = operations(shape, setting) / found.arithmetic
    assert found.both(computed, step / CALL) == pytest.approx(seconds), "what was timed is foretold"
    assert "on the base" in found.source
    assert not any(it._forward_hooks for it in tiny.model.modules())


def test_what_is_measured_is_some_speed(tiny: Base) -> None:
    found = pace.measure(tiny)
    assert found.arithmetic > 0
    assert found.bandwidth > 0
