"""Images turned and moved by chance."""

from __future__ import annotations

import pytest
import torch

from headstart.errors import TasksError
from headstart.tasks.episodes import ClassTasks, Held
from headstart.tasks.images import Images
from headstart.tasks.jitter import Jittered, moved

IMAGES = torch.rand(3, 2, 8, 8, generator=torch.Generator().manual_seed(0))


def drawings() -> ClassTasks:
    stack = torch.randint(0, 256, (6, 5, 1, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    classes = Images(Held.of({str(i): each for i, each in enumerate(stack)}))
    return ClassTasks({"train": classes, "validation": classes}, ways=3, shots=1, queries=2)


def test_by_nothing_they_stay_as_they_are() -> None:
    assert torch.allclose(moved(IMAGES, torch.zeros(3), torch.zeros(3, 2)), IMAGES, atol=1e-5)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_by_right_angles_they_are_turned_counter_clockwise(quarters: int) -> None:
    turned = moved(IMAGES, torch.full((3,), 90.0 * quarters), torch.zeros(3, 2))
    assert torch.allclose(turned, torch.rot90(IMAGES, quarters, (2, 3)), atol=1e-5)


def test_they_are_moved_right_and_down_and_nothing_comes_in() -> None:
    got = moved(IMAGES, torch.zeros(3), torch.tensor([[0.25, 0.125]]).expand(3, 2))
    assert torch.allclose(got[:, :, 1:, 2:], IMAGES[:, :, :-1, :-2], atol=1e-5)
    assert got[:, :, 0].abs().max() < 1e-5
    assert got[:, :, :, :2].abs().max() < 1e-5


def test_they_are_turned_before_they_are_moved() -> None:
    got = moved(IMAGES, torch.full((3,), 90.0), torch.tensor([[0.25, 0.0]]).expand(3, 2))
    assert torch.allclose(got[..., 2:], torch.rot90(IMAGES, 1, (2, 3))[..., :-2], atol=1e-5)


def test_each_image_has_a_chance_of_its_own_and_the_answers_stay() -> None:
    plain, shaken = drawings().draw("train", 0, 4), Jittered(drawings(), 15, 0.1).draw("train", 0, 4)
    for side, was in ((shaken.support, plain.support), (shaken.query, plain.query)):
        assert torch.equal(side.targets, was.targets)
        apart = (side.inputs - was.inputs).flatten(2).abs().amax(2)
        assert (apart > 0.01).all()
    alike = ClassTasks({"train": Images(Held.of({c: IMAGES[:1, :1].mul(255).byte().expand(3, 1, 8, 8) for c in "ab"}))}, 2, 1, 2)
    seen = Jittered(alike, 15, 0.1).draw("train", 0, 3).query.inputs.flatten(0, 1).flatten(1)
    assert len(seen.unique(dim=0)) == len(seen)


def test_a_task_is_the_same_whenever_it_is_drawn() -> None:
    tasks = Jittered(drawings(), 15, 0.1, seed=3)
    all_at_once, alone = tasks.draw("train", 0, 5), tasks.draw("train", 3, 1)
    assert torch.equal(all_at_once.support.inputs[3:4], alone.support.inputs)
    assert torch.equal(all_at_once.query.inputs[3:4], alone.query.inputs)
    assert not torch.equal(alone.query.inputs, Jittered(drawings(), 15, 0.1, seed=4).draw("train", 3, 1).query.inputs)


def test_what_is_no_angle_and_what_no_part_of_a_size_is_refused() -> None:
    with pytest.raises(TasksError, match="0 to 180 degrees and moved by less than their size, got 15 and 1"):
        Jittered(drawings(), 15, 1)
