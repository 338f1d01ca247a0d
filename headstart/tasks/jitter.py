"""Images turned a little and moved a little, each by chance: the same drawing is never seen twice alike."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from headstart.episode import Episodes, Labelled, Tasks
from headstart.errors import TasksError
from headstart.tasks.chance import uniform


@final
@dataclass(frozen=True, eq=False)
class Jittered:
    """The tasks of another source, every image of them turned and moved by chances of its own; what comes in from outside is 0.

    Source: Santoro et al. 2016, section 4, who turn and move the drawings that they train on.
    """

    tasks: Tasks
    """Whose episodes have images, (tasks, n, channels, size, size)."""
    turn: float = 0.0
    """Degrees that an image is turned by at most, either way round."""
    shift: float = 0.0
    """Part of its size that it is moved by at most, each way."""
    seed: int = 0
    """Other seeds have other chances."""

    def __post_init__(self) -> None:
        if not (0 <= self.turn <= 180 and 0 <= self.shift < 1):
            raise TasksError(
                f"Images are turned by 0 to 180 degrees and moved by less than their size, got {self.turn:g} and {self.shift:g}."
            )

    def draw(self, split: str, first: int, count: int) -> Episodes:
        """See `Tasks`."""
        episodes: Episodes = self.tasks.draw(split, first, count)
        numbers, stream = torch.arange(first, first + count), f"{self.seed}/{split}"
        return replace(
            episodes,
            support=self._moved(f"{stream}/support", numbers, episodes.support),
            query=self._moved(f"{stream}/query", numbers, episodes.query),
        )

    def _moved(self, stream: str, numbers: Tensor, side: Labelled) -> Labelled:
        images = side.inputs
        chances = uniform(f"{stream}/jitter", numbers, images.shape[1] * 3, -1, 1).view(-1, 3).to(images.device, images.dtype)
        return Labelled(moved(images.flatten(0, 1), chances[:, 0] * self.turn, chances[:, 1:] * self.shift).view_as(images), side.targets)


def moved(images: Tensor, degrees: Tensor, shift: Tensor) -> Tensor:
    """Images turned about their middles, then moved, bilinearly.

    Args:
        images: (n, channels, size, size).
        degrees: counter-clockwise, (n,).
        shift: to the right and down, in sizes, (n, 2).

    Returns:
        (n, channels, size, size).
    """
    angle = degrees * (math.pi / 180)
    sine, cosine = angle.sin(), angle.cos()
    # The grid says where each pixel comes from, in half sizes from the middle: backwards along the shift, then along the turn.
    back = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
    start = -back @ (2 * shift)[:, :, None]
    grid = F.affine_grid(torch.cat([back, start], 2), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
