"""The files of an adapter on the shelf: all of them there, and readable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headstart.adapters.store import PREFIX, RECORD, Shelf
from headstart.episode import Example
from headstart.errors import AdapterRefused
from tests.adapters.test_store import RECORD_OF, put, weights


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


def test_examples_that_were_lost_on_the_way_are_missed(shelf: Shelf) -> None:
    shown = [Example.pair("a", "b"), Example.pair("c", "d")]
    path = shelf.write("mine", weights(), RECORD_OF | {"prefix": 2}, layers=1, prefix=shown) / PREFIX
    assert len(shelf.prefix("mine")) == 2
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(AdapterRefused, match=f"'mine' keeps 2 examples and its {PREFIX} holds 1: copy it again"):
        shelf.prefix("mine")
    path.unlink()
    with pytest.raises(AdapterRefused, match="holds 0"):
        shelf.prefix("mine")
    (path.parent / RECORD).unlink()
    assert shelf.prefix("mine") == [], "PEFT alone keeps no count"


def test_whoever_may_read_the_folder_may_read_every_file(shelf: Shelf) -> None:
    before = os.umask(0o027)
    try:
        path = put(shelf, "mine")
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {0o640}
