"""Image files into pixels, and what is said of those that are none."""

import io
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from headstart.errors import TasksError
from headstart.tasks.decode import decode


def packed(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def test_channels_rows_and_columns_are_where_they_were() -> None:
    image = Image.new("RGB", (3, 2))
    image.putpixel((2, 1), (10, 20, 30))
    pixels = decode(packed(image), "it", "RGB")
    assert pixels.shape == (3, 2, 3)
    assert pixels[:, 1, 2].tolist() == [10, 20, 30]
    assert pixels.sum() == 60


def test_a_grey_reading_has_one_channel_and_bilevel_images_are_black_and_white() -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert decode(packed(image), "it", "L").tolist() == [[[0, 255]]]


@pytest.mark.parametrize("column", [20, 24, 29])
def test_resizing_keeps_the_light_of_the_thinnest_line_and_its_place(column: int) -> None:
    image = Image.new("L", (40, 20))
    image.paste(255, (column, 0, column + 1, 20))
    small = decode(packed(image), "it", "L", 4)
    assert small.shape == (1, 4, 4)
    assert abs(float(small.float().mean()) - 255 / 40) < 1
    assert small[0, :, 1:].sum() == small.sum()


def test_a_photograph_is_upright(tmp_path: Path) -> None:
    image = Image.new("L", (4, 2))
    image.paste(255, (0, 0, 1, 2))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    path = tmp_path / "photo.jpg"
    image.save(path, exif=exif, quality=100)
    pixels = decode(path, "photo", "L")
    assert pixels.shape == (1, 4, 2)
    assert (pixels[0, 0] > 200).all()
    assert (pixels[0, 2:] < 50).all()


@pytest.mark.parametrize("broken", [b"", b"no image", packed(Image.new("RGB", (50, 50), "red"))[:90], b"\x89PNG\r\n\x1a\n" + bytes(30)])
def test_a_file_that_is_no_whole_image_is_named(broken: bytes) -> None:
    with pytest.raises(TasksError, match=r"'cats/1\.png' cannot be read as an image \(.+\): mend it or take it away"):
        decode(broken, "cats/1.png", "RGB")


def test_an_absent_pillow_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(TasksError, match=r"pip install 'headstart\[images\]'"):
        decode(b"", "it", "RGB")


def test_pixels_can_be_written_to() -> None:
    pixels = decode(packed(Image.new("L", (2, 2))), "it", "L")
    pixels += 1
    assert torch.equal(pixels, torch.ones(1, 2, 2, dtype=torch.uint8))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode: str) -> None:
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 255))
    assert decode(packed(image.convert(mode)), "it", "L").tolist() == [[[255, 0]]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_a_pixel_are_made_eight(kind: str) -> None:
    image = Image.new("I;16", (3, 1))
    for at, value in enumerate((0, 25700, 65535)):
        image.putpixel((at, 0), value)
    assert decode(packed(image, kind), "it", "L").tolist() == [[[0, 100, 255]]]
    assert decode(packed(image, kind), "it", "RGB")[:, 0].tolist() == [[0, 100, 255]] * 3
