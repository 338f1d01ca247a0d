"""What sweeping leaves alone, whoever is at it, and what it mends."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from headstart import disk


def listing(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too, with its text."""
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def an_adapter(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "file").write_text(text)
    return folder


@pytest.fixture
def unlocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that knows no locks."""

    def refused(*_: object) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr("fcntl.flock", refused)


@pytest.mark.parametrize("name", ["junk", "", f"{'9' * 30}-x", "12"])
def test_what_nobody_writes_is_removed_whatever_its_name(tmp_path: Path, name: str) -> None:
    an_adapter(tmp_path / f"{disk.PENDING}{name}", "half")
    (tmp_path / f"{disk.PENDING}{name}-log").write_text("half")
    an_adapter(tmp_path / "kept", "old")
    disk.sweep(tmp_path)
    assert listing(tmp_path) == {"kept/file": "old"}


def test_what_is_written_is_left_alone_whatever_number_its_process_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 4_000_000)
    with disk.new_folder(tmp_path / "new") as pending:
        (pending / "file").write_text("new")
        disk.sweep(tmp_path)
    assert listing(tmp_path) == {"new/file": "new"}


def test_a_text_that_is_written_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (disk.sweep(tmp_path), sync(handle)))
    disk.write_text(tmp_path / "file", "text")
    assert listing(tmp_path) == {"file": "text"}


def test_a_sweep_between_the_two_renames_of_a_replacement_waits_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, rename = an_adapter(tmp_path / "kept", "old"), os.rename
    monkeypatch.setattr(os, "rename", lambda *paths: (rename(*paths), disk.sweep(tmp_path)))
    with disk.new_folder(kept, replace=True) as pending:
        (pending / "file").write_text("new")
    assert listing(tmp_path) == {"kept/file": "new"}


def test_a_sweep_before_the_lock_costs_a_second_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked, swept = disk.locked, []

    def late(handle: int) -> bool | None:
        if not swept:
            swept.append(True)
            disk.sweep(tmp_path)
        return locked(handle)

    monkeypatch.setattr(disk, "locked", late)
    with disk.new_folder(tmp_path / "new") as pending:
        (pending / "file").write_text("new")
    assert swept
    assert listing(tmp_path) == {"new/file": "new"}


@pytest.mark.usefixtures("unlocked")
def test_where_there_are_no_locks_only_what_is_old_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    an_adapter(tmp_path / f"{disk.FORMER}kept", "old")
    with disk.new_folder(tmp_path / "new") as pending:
        (pending / "file").write_text("new")
        disk.sweep(tmp_path)
        assert len(listing(tmp_path)) == 2
    an_adapter(tmp_path / f"{disk.PENDING}x", "half")
    disk.sweep(tmp_path)
    assert set(listing(tmp_path)) == {f"{disk.FORMER}kept/file", f"{disk.PENDING}x/file", "new/file"}
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + disk.OLD + 60)
    disk.sweep(tmp_path)
    assert listing(tmp_path) == {"kept/file": "old", "new/file": "new"}


@pytest.mark.usefixtures("unlocked")
def test_where_there_are_no_locks_a_folder_is_as_young_as_the_last_that_is_written_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = an_adapter(tmp_path / f"{disk.PENDING}x", "half")
    time.sleep(0.05)
    with (folder / "file").open("a") as file:
        file.write(" and more")
    first, last = (it.stat().st_ctime for it in (folder, folder / "file"))
    assert first < last
    monkeypatch.setattr(time, "time", lambda: (first + last) / 2 + disk.OLD)
    disk.sweep(tmp_path)
    assert listing(tmp_path)


@pytest.mark.usefixtures("unlocked")
def test_where_there_are_no_locks_a_former_one_is_in_nobody_s_way(tmp_path: Path) -> None:
    kept = an_adapter(tmp_path / "kept", "old")
    an_adapter(tmp_path / f"{disk.FORMER}kept", "older")
    with disk.new_folder(kept, replace=True) as pending:
        (pending / "file").write_text("new")
    assert listing(tmp_path) == {"kept/file": "new"}


def test_a_shelf_that_may_only_be_read_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    an_adapter(tmp_path / f"{disk.FORMER}kept", "old")

    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", refused)
    disk.sweep(tmp_path)
    assert listing(tmp_path) == {f"{disk.FORMER}kept/file": "old"}
