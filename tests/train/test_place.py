from dataclasses import replace

import torch

from headstart.episode import Episodes, Labelled
from headstart.tasks.sine import Sine
from headstart.train.place import HERE, Place

EXACT = Place(torch.device("cpu"), torch.float64)


class Classes:
    """Inputs in single precision, targets that are classes."""

    def draw(self, split: str, first: int, count: int) -> Episodes:
        shown = Labelled(torch.ones(count, 3, 2), torch.zeros(count, 3, dtype=torch.int64))
        return Episodes(shown, shown)


def test_values_come_in_the_precision_asked_for_and_classes_stay_classes() -> None:
    episodes = EXACT.tasks(Classes()).draw("train", 0, 2)
    for shown in (episodes.support, episodes.query):
        assert (shown.inputs.dtype, shown.targets.dtype) == (torch.float64, torch.int64)
    assert EXACT.tasks(Sine()).draw("train", 0, 1).query.targets.dtype == torch.float64


def test_the_tasks_are_those_of_the_source() -> None:
    brought, own = (tasks.draw("test", 3, 2).query.inputs for tasks in (EXACT.tasks(Sine()), Sine()))
    assert torch.equal(brought.float(), own)


class Filed(Classes):
    """Draws of one file."""

    def draw(self, split: str, first: int, count: int) -> Episodes:
        return replace(super().draw(split, first, count), of=("a.jsonl",) * count)


def test_what_tasks_were_drawn_from_comes_along() -> None:
    assert EXACT.tasks(Filed()).draw("test", 0, 2).of == ("a.jsonl", "a.jsonl")


def test_weights_are_brought_too_and_what_is_here_already_is_not_copied() -> None:
    weights = {"w": torch.ones(2), "n": torch.ones(2, dtype=torch.int64)}
    assert {name: w.dtype for name, w in EXACT.weights(weights).items()} == {"w": torch.float64, "n": torch.int64}
    assert HERE.weights(weights)["w"] is weights["w"]
