"""Tensors made from files: made once, made again when a file changes, and never in the way of the work."""

import os
from pathlib import Path

import pytest
import torch

from headstart.tasks.kept import kept


class Making:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> torch.Tensor:
        self.times += 1
        return torch.full((2,), self.times, dtype=torch.uint8)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").write_text("one")
    return tmp_path / "source"


@pytest.mark.usefixtures("home")
def test_the_same_files_are_read_once(source: Path) -> None:
    make = Making()
    first, again = kept("a", [source], make), kept("a", [source], make)
    assert make.times == 1
    assert torch.equal(first, again)


@pytest.mark.usefixtures("home")
def test_a_change_of_a_file_or_of_the_making_is_noticed(source: Path, tmp_path: Path) -> None:
    make = Making()
    kept("a", [source], make)
    os.utime(source, ns=(1, 1))
    assert kept("a", [source], make)[0] == 2
    source.write_text("four")
    assert kept("a", [source], make)[0] == 3
    assert kept("b", [source], make)[0] == 4
    (tmp_path / "other").write_text("")
    assert kept("a", [source, tmp_path / "other"], make)[0] == 5


@pytest.mark.usefixtures("home")
def test_a_change_is_noticed_though_the_time_of_content_was_set_back(source: Path) -> None:
    make, before = Making(), source.stat()
    kept("a", [source], make)
    while source.stat().st_ctime_ns == before.st_ctime_ns:
        source.write_text("two")
        os.utime(source, ns=(0, before.st_mtime_ns))
    assert kept("a", [source], make)[0] == 2


def test_a_damaged_copy_is_made_again(source: Path, home: Path) -> None:
    make = Making()
    kept("a", [source], make)
    (copy,) = home.rglob("*.safetensors")
    copy.write_bytes(b"no tensors")
    assert kept("a", [source], make)[0] == 2
    assert kept("a", [source], make)[0] == 2


def test_a_home_that_refuses_only_costs_time(source: Path, home: Path) -> None:
    home.write_text("a file where a folder should be")
    make = Making()
    assert kept("a", [source], make)[0] == 1
    assert kept("a", [source], make)[0] == 2


def test_what_files_were_before_is_not_kept(source: Path, home: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("another split's, with the same settings")
    make = Making()
    kept("a", [tmp_path / "other"], make)
    for length in range(1, 5):
        source.write_text("x" * length)
        kept("a", [source], make)
    assert len(list(home.rglob("*.safetensors"))) == 2
    assert kept("a", [tmp_path / "other"], make)[0] == 1
    [one, other] = home.glob("tasks/*")
    for folder in (one, other):
        (folder / "sources.json").unlink()
    source.write_text("as of before they were written down")
    kept("a", [source], make)
    assert len(list(home.rglob("*.safetensors"))) == 1
