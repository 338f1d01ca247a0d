import math

import pytest
import torch

from headstart.episode import Example, Labelled, exact, in_turn, told_by_all


@pytest.mark.parametrize(("got", "same"), [("a b", True), (" a b\n", True), ("a  b", False), ("A b", False), ("", False)])
def test_exact_forgives_blank_space_at_the_ends_alone(got: str, same: bool) -> None:
    assert exact("a b ", got) is same


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_a_minibatch_is_the_next_examples_of_each_task_counted_round(size: int) -> None:
    shown = Labelled(torch.arange(10.0).view(2, 5, 1), torch.arange(10).view(2, 5))
    for step in range(7):
        part, picked = shown.minibatch(step, size), in_turn(5, step, size)
        assert torch.equal(part.inputs, shown.inputs[:, picked])
        assert torch.equal(part.targets, shown.targets[:, picked])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_task_with_a_score_that_is_no_number_has_none(bad: float) -> None:
    shown = Labelled(torch.zeros(3, 1, 1), torch.zeros(3, 1, dtype=torch.int64))
    _, shares = shown.score(torch.tensor([[[bad, 0.0]], [[0.0, -math.inf]], [[0.0, 1.0]]]))
    assert math.isnan(shares[0])
    assert shares[1:].tolist() == [1, 0], "what is without a chance is none the less told"


def test_what_the_system_tells_in_every_example_alike_is_told_by_all() -> None:
    one, other = (Example.pair("red", "R").under(told) for told in ("Be terse.", "Be kind."))
    assert told_by_all([one, one]) == "Be terse."
    assert told_by_all([one, other]) == told_by_all([one, Example.pair("red", "R")]) == told_by_all([]) == ""
    assert one.under("Be kind.") == one
