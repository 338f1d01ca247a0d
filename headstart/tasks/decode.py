"""Image files into pixels. Pillow is an extra: it is asked for only when an image file is really read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import torch
from torch import Tensor

from headstart.errors import TasksError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Mode = Literal["L", "RGB"]
"""Pillow's names of what a pixel is: one grey value, or red, green and blue."""


def decode(source: Path | bytes, name: str, mode: Mode, size: int | None = None) -> Tensor:
    """The pixels of an image file, (channels, height, width) uint8; upright, as the camera's orientation mark says, on white where it is
    transparent, and of 16 bits a pixel the upper 8.

    Args:
        source: the file, or what is in it.
        name: what to call it in an error.
        mode: "L" has one channel, "RGB" three.
        size: height and width to be resized to, whatever the proportions were; None leaves them.

    Raises:
        TasksError: Pillow is not installed, or the file is no image that it can read whole.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise TasksError("Reading image files needs Pillow, which is not installed: pip install 'headstart[images]'.") from error
    opened: Path | IO[bytes] = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(opened) as file:
            image = _plain(ImageOps.exif_transpose(file)).convert(mode)
    # Pillow's decoders raise whatever they stumble over: SyntaxError for a broken PNG, struct.error, a bomb of its own kind.
    except Exception as error:
        raise TasksError(f"'{name}' cannot be read as an image ({_why(error)}): mend it or take it away.") from error
    if size is not None:
        # The papers' resizing: straight to a square, antialiased, proportions not kept.
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    flat = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return flat.view(image.height, image.width, len(image.getbands())).permute(2, 0, 1).contiguous()


def _plain(image: Picture) -> Picture:
    """What Pillow's own conversion makes nonsense of: it drops how transparent a pixel is, and takes for white all beyond 255 of 65,535."""
    from PIL import Image

    if image.mode.startswith("I;16") or (image.mode == "I" and image.getextrema()[1] > 255):  # type: ignore[operator]
        return image.convert("I").point(lambda value: value / 257 + 0.5).convert("L")
    if image.has_transparency_data:
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image


def _why(error: Exception) -> str:
    return (
        "it is not a format that Pillow knows" if type(error).__name__ == "UnidentifiedImageError" else str(error) or type(error).__name__
    )
