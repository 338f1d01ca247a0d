"""The files of an adapter on the shelf: all of them there, and readable."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from headstart.adapters.hub import CARD
from headstart.adapters.seats import digest
from headstart.adapters.store import PREFIX, RECORD, Shelf
from headstart.episode import Example
from headstart.errors import AdapterRefused
from headstart.terms import SHOWN
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


def test_no_more_examples_are_laid_out_than_are_ever_kept(shelf: Shelf) -> None:
    shown = [Example.pair(f"q{i}", f"a{i}") for i in range(SHOWN + 1)]
    shelf.write("most", weights(), RECORD_OF, layers=1, prefix=shown[1:])
    assert len(shelf.prefix("most")) == SHOWN
    shelf.write("more", weights(), RECORD_OF, layers=1, prefix=shown)
    with pytest.raises(AdapterRefused, match=f"keeps {SHOWN + 1} examples in its {PREFIX}, and {SHOWN} are the most"):
        shelf.prefix("more")


def test_what_never_ends_is_not_read(shelf: Shelf) -> None:
    path = put(shelf, "mine") / PREFIX
    os.mkfifo(path)
    with pytest.raises(AdapterRefused, match=f"The {PREFIX} of 'mine' cannot be read"):
        shelf.prefix("mine")
    path.unlink()
    path.symlink_to(os.devnull)
    with pytest.raises(AdapterRefused, match="is no file"):
        shelf.prefix("mine")


def test_the_hash_is_of_what_an_answer_depends_on(shelf: Shelf) -> None:
    path = shelf.write("mine", weights(), RECORD_OF, layers=1, prefix=[Example.pair("a", "b")])
    files = sorted(it for it in path.iterdir() if it.name != CARD)
    before = digest(path)
    assert before == hashlib.sha256(b"".join(it.name.encode() + b"\0" + it.read_bytes() for it in files)).hexdigest()
    (path / "tokenizer.json").write_text("{}")
    assert digest(path) == before
    for file in files:
        file.write_bytes(file.read_bytes() + b" ")
        assert digest(path) != before
        before = digest(path)
