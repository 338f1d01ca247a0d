import pytest
import torch

from headstart.episode import Labelled, exact, in_turn


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
