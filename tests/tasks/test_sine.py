"""Sinusoids: the paper's ranges and phase, fresh tasks, and the same ones whenever they are drawn."""

import math

import pytest
import torch

from headstart.episode import Tasks
from headstart.errors import TasksError
from headstart.tasks.sine import Sine

SINE = Sine(shots=5, queries=7, dtype=torch.float64)


def test_targets_are_amplitude_times_sine_of_input_minus_phase() -> None:
    episodes, (amplitude, phase) = SINE.draw("train", 3, 50), SINE.waves("train", torch.arange(3, 53))
    for side, n in ((episodes.support, 5), (episodes.query, 7)):
        assert side.inputs.shape == side.targets.shape == (50, n, 1)
        for i in range(50):
            assert torch.equal(side.targets[i], amplitude[i] * torch.sin(side.inputs[i] - phase[i]))


def test_ranges_are_the_papers_and_are_filled_evenly() -> None:
    amplitude, phase = SINE.waves("train", torch.arange(20_000))
    x = Sine(shots=1).draw("train", 0, 20_000).support.inputs
    for drawn, low, high in ((amplitude, 0.1, 5.0), (phase, 0.0, math.pi), (x, -5.0, 5.0)):
        assert low <= drawn.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < drawn.max() <= high
        assert abs(float(drawn.mean()) - (low + high) / 2) < 0.01 * (high - low)
    assert abs(float(torch.corrcoef(torch.cat([amplitude, phase], 1).T)[0, 1])) < 0.03


def test_tasks_drawn_together_equal_tasks_drawn_one_by_one() -> None:
    tasks: Tasks = SINE
    together = tasks.draw("test", 10, 5)
    for i in range(5):
        one = tasks.draw("test", 10 + i, 1)
        for side, other in ((one.support, together.support), (one.query, together.query)):
            assert torch.equal(side.inputs[0], other.inputs[i])
            assert torch.equal(side.targets[0], other.targets[i])


def test_splits_seeds_and_numbers_have_waves_of_their_own() -> None:
    streams = ((SINE, "train"), (SINE, "validation"), (SINE, "test"), (Sine(seed=1), "train"))
    seen = [tasks.waves(split, torch.arange(100)) for tasks, split in streams]
    assert len(torch.cat([amplitude for amplitude, _ in seen]).unique()) == 400


def test_support_and_query_have_inputs_of_their_own() -> None:
    episodes = Sine(shots=10, queries=10).draw("train", 0, 4)
    assert not set(episodes.support.inputs.flatten().tolist()) & set(episodes.query.inputs.flatten().tolist())


def test_the_query_does_not_depend_on_the_shots() -> None:
    few, many = Sine(shots=1).draw("test", 0, 3), Sine(shots=20).draw("test", 0, 3)
    assert torch.equal(few.query.targets, many.query.targets)
    assert torch.equal(few.support.inputs[:, 0], many.support.inputs[:, 0])


def test_losses_are_squared_errors_and_floats_are_single_by_default() -> None:
    episodes = Sine().draw("train", 0, 3)
    assert episodes.query.inputs.dtype == episodes.query.targets.dtype == torch.float32
    wanted = episodes.query.targets.square().mean((1, 2))
    assert torch.allclose(episodes.query.losses(torch.zeros(3, 10, 1)), wanted)


@pytest.mark.parametrize(("shots", "queries"), [(0, 5), (5, 0)])
def test_a_task_without_examples_is_refused(shots: int, queries: int) -> None:
    with pytest.raises(TasksError, match=f"at least one support and one query example, got {shots} and {queries}"):
        Sine(shots=shots, queries=queries)
