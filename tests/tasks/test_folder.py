"""Folders of images in three layouts, and everything that can be wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from PIL import Image

from headstart.errors import TasksError
from headstart.tasks.episodes import ClassTasks
from headstart.tasks.folder import Files, read_folder

pytestmark = pytest.mark.usefixtures("home")


def paint(path: Path, grey: int, size: tuple[int, int] = (9, 7)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (grey, grey, 255)).save(path)
    return path


def classes(folder: Path, counts: Mapping[str, int]) -> Path:
    """A folder a class; class c's image i is painted 10 c + i."""
    for c, (name, n) in enumerate(counts.items()):
        for i in range(n):
            paint(folder / name / f"{i}.png", 10 * c + i)
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(TasksError) as refused:
        read_folder(folder, 4)
    return str(refused.value)


@pytest.mark.parametrize("validation", ["val", "valid", "validation"])
@pytest.mark.parametrize("in_memory", [True, False])
def test_split_folders_keep_their_splits(tmp_path: Path, validation: str, in_memory: bool) -> None:
    classes(tmp_path / "train", {"cat": 3, "dog": 2})
    classes(tmp_path / validation, {"emu": 1})
    classes(tmp_path / "test", {"fox": 1, "gnu": 2})
    splits = read_folder(tmp_path, 4, in_memory=in_memory)
    assert {split: images.names for split, images in splits.items()} == {
        "train": ("cat", "dog"),
        "validation": ("emu",),
        "test": ("fox", "gnu"),
    }
    assert splits["train"].counts.tolist() == [3, 2]
    read = splits["train"].read(torch.tensor([1, 0]), torch.tensor([1, 2]))
    assert read.shape == (2, 3, 4, 4)
    assert (read[:, 0] * 255).round().flatten(1).unique(dim=1).tolist() == [[11], [2]]
    assert (read[:, 2] == 1).all()


def test_lists_give_splits_to_one_folder_of_images(tmp_path: Path) -> None:
    for i in range(4):
        paint(tmp_path / "images" / f"n{i}.jpg", 50 * i)
    (tmp_path / "train.csv").write_text("filename,label\nn0.jpg,n01\nn2.jpg,n02\nn1.jpg,n01\n")
    (tmp_path / "test.csv").write_text("filename,label\nn3.jpg,n03\n")
    splits = read_folder(tmp_path, 4, "L")
    assert {split: (images.names, images.counts.tolist()) for split, images in splits.items()} == {
        "train": (("n01", "n02"), [2, 1]),
        "test": (("n03",), [1]),
    }
    assert splits["train"].read(torch.tensor([0]), torch.tensor([1])).shape == (1, 1, 4, 4)


def test_class_folders_are_dealt_out(tmp_path: Path) -> None:
    classes(tmp_path, {f"class {i}": 1 for i in range(25)})
    splits = read_folder(tmp_path, 4)
    assert [len(images.names) for images in splits.values()] == [16, 4, 5]
    assert len({name for images in splits.values() for name in images.names}) == 25
    assert read_folder(tmp_path, 4)["test"].names == splits["test"].names


def test_a_class_may_be_called_as_a_split_is(tmp_path: Path) -> None:
    splits = read_folder(classes(tmp_path, dict.fromkeys(("bus", "car", "train"), 2)), 4, in_memory=False)
    assert sorted(name for it in splits.values() for name in it.names) == ["bus", "car", "train"]


def test_nested_folders_are_classes_by_their_path_and_other_files_are_passed_over(tmp_path: Path) -> None:
    classes(tmp_path, {"greek/alpha": 1, "greek/beta": 2, "latin/a": 1})
    paint(tmp_path / ".cache" / "x.png", 0)
    (tmp_path / "greek" / "alpha" / "notes.txt").write_text("")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "all.txt").write_text("")
    splits = read_folder(tmp_path, 4)
    assert sorted(name for images in splits.values() for name in images.names) == ["greek/alpha", "greek/beta", "latin/a"]


def test_episodes_are_drawn_from_a_folder_in_memory_or_not(tmp_path: Path) -> None:
    classes(tmp_path / "train", {"cat": 4, "dog": 3, "emu": 5})
    held, lazy = (ClassTasks(read_folder(tmp_path, 4, turns=4, in_memory=kind), ways=5, shots=1, queries=2) for kind in (True, False))
    for side in ("support", "query"):
        one, other = (getattr(tasks.draw("train", 0, 3), side) for tasks in (held, lazy))
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)


def test_a_second_reading_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classes(tmp_path / "train", {"cat": 2})
    told: list[tuple[str, int, int]] = []
    first = read_folder(tmp_path, 4, progress=lambda *facts: told.append(facts))
    assert told == [("reading images", 1, 2), ("reading images", 2, 2)]
    again = read_folder(tmp_path, 4, progress=lambda *facts: told.append(facts))
    assert len(told) == 2
    at = torch.tensor([0, 0]), torch.tensor([0, 1])
    assert torch.equal(first["train"].read(*at), again["train"].read(*at))


def test_all_unreadable_images_are_named_at_once(tmp_path: Path) -> None:
    classes(tmp_path / "train", {"cat": 2, "dog": 1})
    for name in ("cat/bad.png", "dog/worse.jpg"):
        (tmp_path / "train" / name).write_bytes(b"no image")
    told = refusal(tmp_path)
    assert told.startswith("2 of 5 images cannot be used: ")
    assert str(tmp_path / "train" / "cat" / "bad.png") in told
    assert str(tmp_path / "train" / "dog" / "worse.jpg") in told


def test_an_unreadable_image_is_named_when_it_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(TasksError, match=r"a\.png' cannot be read as an image"):
        Files({"a": [tmp_path / "a.png"]}, 4).read(torch.tensor([0]), torch.tensor([0]))


def test_classes_with_too_few_images_are_all_named_empty_ones_too(tmp_path: Path) -> None:
    classes(tmp_path / "train", {"cat": 4, "dog": 3, "emu": 6})
    (tmp_path / "train" / "fox").mkdir()
    with pytest.raises(TasksError, match=r"need 5 examples of a class; in 'train' 3 of 4 .*: cat \(4\), dog \(3\), fox \(0\)\."):
        ClassTasks(read_folder(tmp_path, 4), ways=2, shots=1, queries=4).draw("train", 0, 1)


def test_a_folder_that_is_not_there_or_holds_no_images_is_refused(tmp_path: Path) -> None:
    assert "There is no folder" in refusal(tmp_path / "nowhere")
    assert "holds no folder with images" in refusal(tmp_path)
    (tmp_path / "cat").mkdir()
    assert "holds no folder with images" in refusal(tmp_path)
    paint(tmp_path / "a.png", 0)
    assert "a folder for each class is needed" in refusal(tmp_path)
    (tmp_path / "train" / "notes").mkdir(parents=True)
    (tmp_path / "train" / "notes" / "a.txt").touch()
    assert "train' holds no folder with images" in refusal(tmp_path)


def test_too_few_classes_to_deal_out_are_refused(tmp_path: Path) -> None:
    assert "2 classes cannot be dealt out" in refusal(classes(tmp_path, {"cat": 1, "dog": 1}))


def test_a_class_in_two_splits_is_refused(tmp_path: Path) -> None:
    classes(tmp_path / "train", {"cat": 1, "dog": 1})
    classes(tmp_path / "test", {"dog": 1, "emu": 1})
    assert refusal(tmp_path).endswith("tests would ask what was trained on: dog (train and test).")


def test_a_list_of_other_columns_or_of_absent_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("file,label\na.png,cat\n")
    assert "must have the columns filename and label, and rows; it has file, label" in refusal(tmp_path)
    (tmp_path / "train.csv").write_text("")
    assert "it has no rows" in refusal(tmp_path)
    paint(tmp_path / "images" / "a.png", 0)
    (tmp_path / "train.csv").write_text("filename,label\na.png,cat\nb.png,cat\nc.png,dog\n")
    told = refusal(tmp_path)
    assert "lists 2 files that are not there" in told
    assert str(tmp_path / "images" / "c.png") in told


def test_a_list_that_is_no_text_or_has_short_rows_is_refused(tmp_path: Path) -> None:
    paint(tmp_path / "images" / "a.png", 0)
    (tmp_path / "train.csv").write_bytes("filename,label\na.png,café\n".encode("latin-1"))
    assert "train.csv' cannot be read as a list in UTF-8" in refusal(tmp_path)
    (tmp_path / "train.csv").write_text("filename,label\na.png,cat\na.png\n,dog\n")
    assert "has 2 rows without a filename or a label: line 3, 4." in refusal(tmp_path)


def test_a_split_is_named_once(tmp_path: Path) -> None:
    paint(tmp_path / "images" / "a.png", 0)
    for name in ("train", "val", "valid"):
        (tmp_path / f"{name}.csv").write_text("filename,label\na.png,cat\n")
    assert "valid.csv' are both of the split validation: take one of them away" in refusal(tmp_path)
    for name in ("train", "val", "validation"):
        classes(tmp_path / name, {name: 1})
    assert "validation' are both of the split validation" in refusal(tmp_path)
