"""Omniglot: three forms on disk mean the same, both splits are the papers', and the download is checked."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.errors import TasksError
from headstart.tasks.episodes import ClassTasks
from headstart.tasks.images import Images
from headstart.tasks.omniglot import omniglot
from tests.tasks.conftest import Site

PARTS = {"images_background": ["Zeta/character02", "Zeta/character01", "Alpha/character01"], "images_evaluation": ["Mu/character01"]}
RNG = np.random.default_rng(0)
PAPER = {part: RNG.random((len(names), 20, 105, 105)) > 0.1 for part, names in PARTS.items()}


def zipped(part: str) -> bytes:
    """A part as its official zip has it: folders, and bilevel PNG files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, drawings in zip(PARTS[part], PAPER[part], strict=True):
            archive.writestr(f"{part}/{name}/", "")
            for i in reversed(range(20)):
                png = io.BytesIO()
                Image.fromarray(drawings[i]).save(png, "PNG")
                archive.writestr(f"{part}/{name}/0001_{i + 1:02d}.png", png.getvalue())
    return file.getvalue()


ZIPS = {part: zipped(part) for part in PARTS}
SHA256 = {part: hashlib.sha256(packed).hexdigest() for part, packed in ZIPS.items()}


def write(folder: Path, form: str) -> Path:
    folder.mkdir(exist_ok=True)
    for part in PARTS:
        if form == "zip":
            (folder / f"{part}.zip").write_bytes(ZIPS[part])
        elif form == "unpacked":
            zipfile.ZipFile(io.BytesIO(ZIPS[part])).extractall(folder)
        else:
            labels = np.arange(len(PARTS[part]))[:, None].repeat(20, 1)[::-1]
            np.savez(folder / f"{part}.npz", images=PAPER[part][::-1], labels=labels)
    lines = [f"0\t{part}\t" + name.replace("/", "\t") for part, names in PARTS.items() for name in names]
    if form == "npz":
        (folder / "class_map.tsv").write_text("\n".join(lines) + "\n")
    return folder


def everything(splits: dict[str, Images]) -> dict[str, torch.Tensor]:
    """Character -> its drawings, whichever split it is in."""
    return {name: images.read(torch.full((20,), c), torch.arange(20)) for images in splits.values() for c, name in enumerate(images.names)}


def refusal(folder: Path) -> str:
    with pytest.raises(TasksError) as refused:
        omniglot(folder, "random")
    return str(refused.value)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("form", ["zip", "unpacked", "npz"])
def test_every_form_gives_every_character_its_drawings_in_order(tmp_path: Path, form: str) -> None:
    read = everything(omniglot(write(tmp_path / form, form), "random", size=105, turns=1))
    assert sorted(read) == sorted(name for names in PARTS.values() for name in names)
    for part, names in PARTS.items():
        for name, paper in zip(names, PAPER[part], strict=True):
            assert torch.equal(read[name], 1 - torch.from_numpy(paper).float()[:, None])


@pytest.mark.usefixtures("home")
def test_drawings_that_are_not_smoothed_are_those_that_pillow_makes_of_bilevel_images(tmp_path: Path) -> None:
    folder = write(tmp_path, "npz")
    read, smooth = (everything(omniglot(folder, "random", turns=1, smooth=kind)) for kind in (False, True))
    for part, names in PARTS.items():
        for name, paper in zip(names, PAPER[part], strict=True):
            wanted = np.stack([np.array(Image.fromarray(drawing).resize((28, 28), Image.Resampling.LANCZOS)) for drawing in paper])
            assert torch.equal(read[name], 1 - torch.from_numpy(wanted).float()[:, None])
            assert not torch.equal(read[name], smooth[name])


@pytest.mark.usefixtures("home")
def test_the_zips_are_fetched_once_and_checked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    site.files = {f"/python/{part}.zip": packed for part, packed in ZIPS.items()}
    told: list[tuple[str, int, int]] = []
    get = lambda: omniglot(split="random", source=f"{site.url}/python", sha256=SHA256, progress=lambda *facts: told.append(facts))  # noqa: E731
    first = everything(get())
    assert [path for path, _ in site.asked] == ["/python/images_background.zip", "/python/images_evaluation.zip"]
    assert {what for what, _, _ in told} == {"images_background.zip", "images_evaluation.zip", "reading drawings"}
    told.clear()
    again = everything(get())
    assert len(site.asked) == 2
    assert told == []
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.usefixtures("home")
def test_a_zip_that_is_not_the_official_one_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    site.files = {f"/{part}.zip": packed for part, packed in ZIPS.items()}
    with pytest.raises(TasksError, match="ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640 was wanted"):
        omniglot(source=site.url)


@pytest.mark.usefixtures("home")
def test_what_is_missing_damaged_or_incomplete_is_told(tmp_path: Path) -> None:
    assert "does not hold images_background and images_evaluation: as .zip" in refusal(tmp_path)
    write(tmp_path, "zip")
    whole = (tmp_path / "images_evaluation.zip").read_bytes()
    (tmp_path / "images_evaluation.zip").write_bytes(whole[:-100])
    assert "images_evaluation.zip' cannot be read" in refusal(tmp_path)
    middle = bytearray(whole)
    middle[5000:5100] = bytes(100)
    (tmp_path / "images_evaluation.zip").write_bytes(middle)
    assert "images_evaluation.zip" in refusal(tmp_path)
    (tmp_path / "images_evaluation.zip").unlink()
    assert "does not hold images_evaluation: as" in refusal(tmp_path)


@pytest.mark.usefixtures("home")
def test_characters_without_all_their_drawings_are_named(tmp_path: Path) -> None:
    write(tmp_path, "unpacked")
    (tmp_path / "images_background" / "Zeta" / "character02" / "0001_07.png").unlink()
    assert "20 drawings a character, alphabet/character/*.png, are wanted; Zeta/character02 (19)." in refusal(tmp_path)


@pytest.mark.usefixtures("home")
def test_drawings_of_another_size_are_named(tmp_path: Path) -> None:
    write(tmp_path, "unpacked")
    Image.new("1", (28, 105)).save(tmp_path / "images_evaluation" / "Mu" / "character01" / "0001_03.png")
    assert "0001_03.png' is 105 by 28 pixels; Omniglot's drawings are 105 by 105." in refusal(tmp_path)


@pytest.mark.usefixtures("home")
def test_arrays_of_another_shape_or_without_a_class_map_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "npz")
    np.savez(tmp_path / "images_evaluation.npz", images=np.zeros((1, 20, 28, 28), dtype=bool), labels=np.zeros((1, 20), dtype=int))
    assert "its images are (1, 20, 28, 28) torch.bool; (1, 20, 105, 105) bools are wanted" in refusal(tmp_path)
    np.savez(tmp_path / "images_evaluation.npz", images=np.array([{}]), labels=np.zeros((1, 20), dtype=int))
    assert "cannot be read (Object arrays cannot be loaded" in refusal(tmp_path)
    (tmp_path / "class_map.tsv").unlink()
    assert "class_map.tsv' cannot be read" in refusal(tmp_path)


@pytest.mark.usefixtures("home")
def test_vinyals_split_of_a_part_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "zip")
    with pytest.raises(TasksError, match="all 1,623 characters, and 4 were found"):
        omniglot(tmp_path)


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The real drawings, and a home for the module in which they are kept once shrunk."""
    folder = shared / "data" / "omniglot"
    if not folder.is_dir():
        pytest.skip(f"there is no Omniglot at '{folder}'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_HOME", str(tmp_path_factory.mktemp("home")))
        yield folder


def test_vinyals_split_is_the_published_one(real: Path) -> None:
    splits = omniglot(real)
    assert {split: len(images.names) for split, images in splits.items()} == {"train": 4 * 1028, "validation": 4 * 172, "test": 4 * 423}
    for split, name in (("train", "train"), ("validation", "val"), ("test", "test")):
        published = (real / "splits_vinyals" / f"{name}.txt").read_text().split()
        # The lists write an image as it is /rot000.
        assert {n if "/rot" in n else f"{n}/rot000" for n in splits[split].names} == set(published)
        assert (splits[split].counts == 20).all()


def test_the_random_split_is_of_the_papers_sizes(real: Path) -> None:
    splits = omniglot(real, "random", turns=1)
    names = {split: set(images.names) for split, images in splits.items()}
    assert {split: len(side) for split, side in names.items()} == {"train": 1100, "validation": 100, "test": 423}
    assert len(set.union(*names.values())) == 1623


def test_ink_is_bright_thin_and_where_the_drawing_has_it(real: Path) -> None:
    images = omniglot(real, turns=1)["train"]
    c = images.names.index("Tifinagh/character55")
    read = images.read(torch.full((20,), c), torch.arange(20))
    assert read.shape == (20, 1, 28, 28)
    with np.load(real / "images_background.npz") as arrays:
        ink = 1 - torch.from_numpy(arrays["images"][-1]).float()
    assert torch.allclose(read.mean((1, 2, 3)), ink.mean((1, 2)), atol=0.01)
    # Each quarter of a drawing has its own share of the ink.
    quarters = torch.nn.functional.adaptive_avg_pool2d(ink[:, None], 2), torch.nn.functional.adaptive_avg_pool2d(read, 2)
    assert torch.allclose(*quarters, atol=0.02)


def test_a_draw_has_different_drawings_of_the_split_alone(real: Path) -> None:
    tasks = ClassTasks(omniglot(real), ways=20, shots=5, queries=15)
    episodes = tasks.draw("test", 0, 2)
    together = torch.cat([episodes.support.inputs, episodes.query.inputs], 1).flatten(2)
    assert all(len(task.unique(dim=0)) == 400 for task in together)
    fewer = replace(tasks, ways=5, shots=1)
    assert fewer.draw("train", 0, 32).support.inputs.shape == (32, 5, 1, 28, 28)
