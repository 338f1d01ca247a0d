"""Tasks drawn ahead are the tasks themselves, whatever is asked for and however many processes draw them."""

import torch

from headstart.tasks.sine import Sine
from headstart.train.ahead import drawn_ahead


def test_what_is_drawn_ahead_is_what_the_source_has() -> None:
    tasks = Sine(shots=3, queries=2)
    with drawn_ahead(tasks, 1, stride=4) as ahead:
        # The middle of a run, a step back as after a resumption, and a share of a batch among several processes.
        for first, count in ((8, 4), (12, 4), (16, 4), (8, 4), (9, 2), (13, 2)):
            drawn, wanted = ahead.draw("train", first, count), tasks.draw("train", first, count)
            assert torch.equal(drawn.support.inputs, wanted.support.inputs)
            assert torch.equal(drawn.query.targets, wanted.query.targets)


def test_without_a_process_the_source_itself_is_handed_on() -> None:
    tasks = Sine(shots=3, queries=2)
    with drawn_ahead(tasks, 0, stride=4) as ahead:
        assert ahead is tasks
