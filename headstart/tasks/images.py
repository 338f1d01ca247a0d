"""Classes of images: pixels in memory as bytes, read as floats, turned by right angles into new classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor

from headstart.errors import TasksError
from headstart.tasks.episodes import Classes

_BRIGHTEST: Mapping[torch.dtype, float] = {torch.bool: 1.0, torch.uint8: 255.0}
_TURNS = ("", "/rot090", "/rot180", "/rot270")
_CHUNK = 1000
"""Images shrunk at once, to keep the floats of a big set out of memory."""


@final
@dataclass(frozen=True, eq=False)
class Images:
    """Images as floats from 0 to 1, (channels, height, width), over pixels held or loaded as bytes or bools."""

    pixels: Classes
    """Whose examples are uint8 or bool, (channels, height, width)."""
    turns: int = 1
    """1: as they are. 4: each class is four, its images, which are square, turned by 0, 90, 180 and 270 degrees, counter-clockwise."""

    def __post_init__(self) -> None:
        if self.turns not in (1, 2, 4):
            raise TasksError(f"Images can be turned 1, 2 or 4 ways, got {self.turns}.")

    @property
    def names(self) -> tuple[str, ...]:
        """One for each class: class c turned k times is number turns * c + k."""
        return tuple(name + turn for name in self.pixels.names for turn in _TURNS[:: 4 // self.turns])

    @property
    def counts(self) -> Tensor:
        """Images of each class, (classes,) int64."""
        return self.pixels.counts.repeat_interleave(self.turns)

    def read(self, classes: Tensor, members: Tensor) -> Tensor:
        """Images by class and number, (n, channels, height, width) float32.

        Raises:
            TasksError: an image is unreadable.
        """
        pixels = self.pixels.read(classes // self.turns, members)
        turn = (classes % self.turns).to(pixels.device)
        for k in range(1, self.turns):
            pixels[turn == k] = torch.rot90(pixels[turn == k], k * 4 // self.turns, (-2, -1))
        return pixels.float() / _BRIGHTEST[pixels.dtype]


def shrink(pixels: Tensor, size: int, smooth: bool = True) -> Tensor:
    """Bilevel images made smaller.

    Args:
        pixels: (n, height, width) bool.
        size: height and width wanted.
        smooth: every pixel is the mean of what it covers, weighted by a triangle (antialiased bilinear); False: the one nearest its centre.

    Returns:
        (n, size, size) uint8, 255 where all was True.
    """
    how: dict[str, Any] = {"mode": "bilinear", "antialias": True} if smooth else {"mode": "nearest-exact"}
    chunks = [F.interpolate(part[:, None].float(), size=(size, size), **how) for part in pixels.split(_CHUNK)]
    return torch.cat([chunk[:, 0].mul(255).round().clamp(0, 255).to(torch.uint8) for chunk in chunks])
