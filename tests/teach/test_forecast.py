"""What teaching will cost: it grows with what is asked for, and says whether there is room."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headstart.episode import Example
from headstart.lm.load import Base
from headstart.plan.cards import Place
from headstart.plan.clock import Speed
from headstart.teach import Recipe
from headstart.teach.forecast import cost

EXAMPLES = [Example.pair(f"{word} please", word.upper()) for word in ("red", "tan", "blue", "grey", "pink", "teal")]
SPEED, HERE = Speed(1e9, 1e9, "assumed"), Place("here", 1 << 30, gpu=False)


def test_more_ways_take_longer_at_most_and_as_long_at_least(tiny: Base) -> None:
    one = cost(tiny, EXAMPLES, [Recipe()], SPEED, HERE)
    assert one.least_seconds == one.most_seconds > 0
    short = Recipe(steps=5)
    both = cost(tiny, EXAMPLES, [Recipe(), short], SPEED, HERE)
    assert both.least_seconds < one.least_seconds < both.most_seconds
    assert both.least_seconds > cost(tiny, EXAMPLES, [short], SPEED, HERE).least_seconds, "all are looked at, and compared"
    scratch = cost(tiny, EXAMPLES, [short], SPEED, HERE, scratch=True)
    assert scratch.least_seconds > both.least_seconds
    assert scratch.bytes == both.bytes
    assert one.source == "assumed"


def test_time_goes_with_speed_and_examples(tiny: Base) -> None:
    twice = Speed(2 * SPEED.arithmetic, 2 * SPEED.bandwidth, "assumed")
    slow, fast = (cost(tiny, EXAMPLES, [Recipe()], speed, HERE).least_seconds for speed in (SPEED, twice))
    assert abs(slow - 2 * fast) < 1e-9 * slow
    assert cost(tiny, EXAMPLES[:3], [Recipe()], SPEED, HERE).least_seconds < slow


def test_an_adapter_is_ready_before_its_report(tiny: Base) -> None:
    one, bare = (cost(tiny, EXAMPLES, [Recipe(folds=folds)], SPEED, HERE) for folds in (3, 0))
    assert one.ready_least_seconds == one.ready_most_seconds == bare.least_seconds < one.least_seconds
    short = Recipe(steps=5)
    both, alone = (cost(tiny, EXAMPLES, recipes, SPEED, HERE) for recipes in ([Recipe(), short], [short]))
    assert alone.ready_least_seconds < both.ready_least_seconds < both.ready_most_seconds < both.most_seconds
    assert both.ready_most_seconds > one.ready_most_seconds, "what is compared is held out before"


def test_the_verdict_is_of_what_is_free(tiny: Base) -> None:
    need = cost(tiny, EXAMPLES, [Recipe()], SPEED, HERE).bytes
    told = [cost(tiny, EXAMPLES, [Recipe()], SPEED, replace(HERE, memory=memory)) for memory in (2 * need, need, 1)]
    assert [it.verdict for it in told] == ["fits", "tight", "no"]
    assert told[1].bytes < need, "what is taught in less memory takes less"


def test_no_step_costs_no_teaching(tiny: Base) -> None:
    none, one, two = (cost(tiny, EXAMPLES, [Recipe(steps=steps)], SPEED, HERE).least_seconds for steps in (0, 1, 2))
    assert 0 < none < one
    assert two - one == pytest.approx(one - none)
    for prefix in (True, False):
        assert cost(tiny, EXAMPLES, [Recipe(steps=0, folds=0, prefix=prefix)], SPEED, HERE).least_seconds == 0
    scratch = cost(tiny, EXAMPLES, [Recipe(steps=0)], SPEED, HERE, scratch=True)
    whole, final = (cost(tiny, EXAMPLES, [Recipe(folds=folds)], SPEED, HERE).least_seconds for folds in (3, 0))
    assert scratch.least_seconds - none == pytest.approx(whole - final)


def test_where_there_is_a_choice_every_way_is_looked_at(tiny: Base) -> None:
    one = cost(tiny, EXAMPLES, [Recipe()], SPEED, HERE)
    two, three = (cost(tiny, EXAMPLES, [Recipe()] * count, SPEED, HERE) for count in (2, 3))
    assert one.least_seconds < two.least_seconds < three.least_seconds < three.most_seconds
    assert two.most_seconds > 1.5 * one.least_seconds


def test_of_many_examples_a_step_takes_a_few(tiny: Base) -> None:
    many = [Example.pair(f"say {n}", str(n)) for n in range(40)]
    ready = [
        cost(tiny, many, [Recipe(steps=9, prefix=False, batch=batch)], SPEED, HERE).ready_most_seconds for batch in (4, 8, 40, 90, None)
    ]
    assert ready[1] == pytest.approx(2 * ready[0], rel=0.2)
    assert ready[1] < ready[2] == ready[3] == ready[4]
