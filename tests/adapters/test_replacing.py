"""One adapter that takes another's place, seen by those who look meanwhile, and after a kill in the middle."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headstart import disk
from headstart.adapters import peft, trash
from headstart.adapters.starts import Starts
from headstart.adapters.store import Shelf
from headstart.disk import FORMER, PENDING, new_folder
from headstart.errors import NameRefused, StorageError
from tests.adapters.test_store import KEY, put


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


def between(shelf: Shelf) -> Path:
    """A shelf as it is between the two renames of a replacement, for a moment or after a kill; where the former one is."""
    return put(shelf, "mine").rename(shelf.root / f"{FORMER}mine")


def test_who_begins_to_write_mends_what_a_kill_left(shelf: Shelf) -> None:
    between(shelf)
    # No process has a number this high: the kernel allows 2^22 at most.
    (shelf.root / f"{PENDING}99999999-ab-mine").mkdir()
    put(shelf, "other")
    assert sorted(p.name for p in shelf.root.iterdir()) == ["mine", "other"]
    assert shelf.read("mine", KEY)


def test_who_only_reads_leaves_a_replacement_its_way(home: Path) -> None:
    starts = Starts()
    former = between(starts.own)
    assert Shelf(starts.own.root).names() == starts.own.names() == ["mine"]
    assert starts.shelf("mine").root == starts.own.root
    assert former.is_dir()


def test_an_adapter_is_there_while_it_is_replaced(shelf: Shelf) -> None:
    former = between(shelf)
    done = threading.Timer(0.1, former.rename, [shelf.root / "mine"])
    done.start()
    assert shelf.read("mine", KEY)
    done.join()


def test_what_a_kill_left_is_put_back_for_who_asks_for_it(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.adapters.store.PATIENCE", 0.05)
    former = between(shelf)
    assert shelf.read("mine", KEY)
    assert not former.exists()


def test_many_replacements_and_many_who_look_harm_nobody(shelf: Shelf) -> None:
    put(shelf, "mine")
    over, seen = threading.Event(), []

    def look() -> None:
        while not over.is_set():
            seen.append(Shelf(shelf.root).known("mine"))

    with ThreadPoolExecutor(2) as hands:
        looking = [hands.submit(look) for _ in range(2)]
        try:
            for _ in range(50):
                with new_folder(shelf.root / "mine", replace=True) as pending:
                    (pending / peft.CONFIG).write_text("{}")
        finally:
            over.set()
        for it in looking:
            it.result()
    assert seen


@pytest.fixture(params=["locks", "no locks"])
def either(request: pytest.FixtureRequest, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A shelf on a disk that knows locks, and on one that knows none, where what a kill has left stays for an hour."""

    def unknown(handle: int, how: int) -> None:
        raise OSError(errno.EBADF, "no locks")

    monkeypatch.setattr("headstart.adapters.store.PATIENCE", 0.05)
    if request.param == "no locks":
        monkeypatch.setattr(fcntl, "flock", unknown)
    return shelf


@pytest.mark.parametrize("before", [(), ("older",)])
def test_of_two_that_are_removed_at_once_one_can_be_had_back(
    shelf: Shelf, before: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mine", "other", *before):
        put(shelf, name)
    for name in before:
        trash.remove(shelf, name)
    rename = Path.rename

    def overtaken(path: Path, to: Path) -> Path:
        there = rename(path, to)
        if path.name == "mine":
            # All of the other's removal comes before the rest of this one's.
            trash.remove(shelf, "other")
        return there

    monkeypatch.setattr(Path, "rename", overtaken)
    trash.remove(shelf, "mine")
    assert trash.restore(shelf) == "other"
    assert shelf.read("other", KEY)


@pytest.mark.parametrize("go", [trash.remove, lambda shelf, name: shelf.rename(name, "other"), lambda shelf, _: trash.restore(shelf)])
@pytest.mark.parametrize("meanwhile", ["removed", "renamed"])
def test_what_another_takes_away_meanwhile_is_not_said_to_be_there(
    shelf: Shelf, go: Callable[[Shelf, str], object], meanwhile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gone", "mine"):
        put(shelf, name)
    trash.remove(shelf, "gone")
    rename = Path.rename

    def overtaken(path: Path, to: Path) -> Path:
        if meanwhile == "removed":
            shutil.rmtree(path)
        else:
            rename(path, shelf.root / "theirs")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", overtaken)
    with pytest.raises(NameRefused, match="any more"):
        go(shelf, "mine")
    assert ("theirs" in shelf.names()) == (meanwhile == "renamed")


@pytest.mark.parametrize("go", [trash.remove, lambda shelf, name: shelf.rename(name, "other")])
def test_an_adapter_whose_former_a_kill_left_beside_it_goes_for_good(either: Shelf, go: Callable[[Shelf, str], object]) -> None:
    shutil.copytree(put(either, "mine"), either.root / f"{FORMER}mine")
    go(either, "mine")
    assert "mine" not in either.names()
    assert not (either.root / f"{FORMER}mine").exists()
    with pytest.raises(NameRefused):
        either.known("mine")


def test_the_name_of_one_that_a_kill_set_aside_is_taken(either: Shelf) -> None:
    put(either, "other")
    between(either)
    with pytest.raises(NameRefused, match="There is an adapter 'mine' already"):
        either.rename("other", "mine")
    trash.remove(either, "other")
    with pytest.raises(NameRefused, match="by now"):
        trash.restore(either, "mine")
    assert either.names() == ["mine"]


@pytest.mark.parametrize("either", ["no locks"], indirect=True)
@pytest.mark.parametrize("others", [(), ("other",)])
def test_one_that_a_kill_set_aside_is_told_as_such_until_it_is_had_back(
    either: Shelf, others: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in others:
        put(either, name)
    between(either)
    assert "mine" in either.names()
    with pytest.raises(NameRefused, match=r"'mine' is being replaced, or a kill left it so.* an hour later") as told:
        either.known("mine")
    assert "Nearest" not in str(told.value)
    monkeypatch.setattr(disk, "OLD", -1.0)
    assert either.read("mine", KEY)


def test_one_that_comes_while_it_is_not_found_is_not_its_own_nearest(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shelf, "names", lambda _: ["mine", "miner"])
    with pytest.raises(NameRefused, match=r"Nearest: miner\.$"):
        shelf.known("mine")


def test_what_nobody_may_look_into_is_no_adapter(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    put(shelf, "mine")
    (shelf.root / "lost+found").mkdir()
    looked: list[str] = []
    monkeypatch.setattr(os.path, "isfile", lambda path: looked.append(str(path)) or True)
    assert shelf.names() == ["mine"]
    assert not any("lost+found" in path for path in looked)


def test_a_folder_that_stays_locked_is_told_in_time(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    put(shelf, "mine")
    monkeypatch.setattr(disk, "PATIENCE", 0.05)
    handle = os.open(shelf.root, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(StorageError, match="has held"):
            put(shelf, "other")
    finally:
        os.close(handle)
    assert shelf.names() == ["mine"]
