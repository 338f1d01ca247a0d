"""Images: bytes read as floats, and right angles as classes of their own."""

import pytest
import torch

from headstart.errors import TasksError
from headstart.tasks.episodes import Held
from headstart.tasks.images import Images, shrink


def pixels(classes: int, count: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (classes, count, 1, 4, 4), generator=rng, dtype=torch.uint8)


def held(stack: torch.Tensor) -> Held:
    return Held.of({name: stack[i] for i, name in enumerate("abc"[: len(stack)])})


def test_bytes_and_bools_are_read_as_floats_from_0_to_1() -> None:
    stack = pixels(2, 3)
    read = Images(held(stack)).read(torch.tensor([1, 0]), torch.tensor([2, 1]))
    assert torch.equal(read, torch.stack([stack[1, 2], stack[0, 1]]).float() / 255)
    assert torch.equal(Images(held(stack > 99)).read(torch.tensor([1]), torch.tensor([2])), (stack[1, 2] > 99).float()[None])


@pytest.mark.parametrize("turns", [1, 2, 4])
def test_turned_images_are_classes_of_their_own(turns: int) -> None:
    stack = pixels(3, 2)
    images = Images(held(stack), turns)
    classes = torch.arange(3 * turns).repeat_interleave(2)
    read = images.read(classes, torch.tensor([0, 1] * 3 * turns))
    assert images.counts.tolist() == [2] * 3 * turns
    for i, c in enumerate(classes.tolist()):
        wanted = torch.rot90(stack[c // turns, i % 2], (c % turns) * 4 // turns, (-2, -1)).float() / 255
        assert torch.equal(read[i], wanted)


def test_turned_classes_are_named_by_their_angle() -> None:
    assert Images(held(pixels(2, 1)), 4).names[3:6] == ("a/rot270", "b", "b/rot090")
    assert Images(held(pixels(2, 1)), 2).names == ("a", "a/rot180", "b", "b/rot180")
    assert Images(held(pixels(2, 1))).names == ("a", "b")


def test_reading_leaves_the_held_pixels_alone() -> None:
    stack = pixels(1, 2)
    source = held(stack.clone())
    Images(source, 4).read(torch.tensor([1, 2, 3]), torch.tensor([0, 1, 0]))
    assert torch.equal(source.items, stack[0])


def test_images_turn_once_twice_or_four_times() -> None:
    with pytest.raises(TasksError, match="1, 2 or 4 ways, got 3"):
        Images(held(pixels(1, 1)), 3)


def test_shrinking_keeps_the_ink_of_the_thinnest_line_and_its_place() -> None:
    ink = torch.zeros(4, 105, 105, dtype=torch.bool)
    ink[0] = True
    for i, row in enumerate((50, 51, 52), start=1):
        ink[i, row] = True
    small = shrink(ink, 28)
    assert small.dtype == torch.uint8
    assert (small[0] == 255).all()
    assert (small[1:].float().mean((1, 2)) - 255 / 105).abs().max() < 0.3
    assert small[1:, 12:16].sum() == small[1:].sum()
