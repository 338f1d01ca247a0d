"""Writes while others write, look and interrupt: what is said of them is true, and what is left of them goes."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from headstart import checkup, disk
from headstart.errors import StorageError


def test_the_next_try_at_a_place_removes_what_a_killed_one_left_there_and_nothing_of_others(tmp_path: Path) -> None:
    mine, others = tmp_path / f"{disk.PENDING}0123456789ab-new[1]", tmp_path / f"{disk.PENDING}1665432100-new[1]"
    for path in (mine, others, tmp_path / f"{disk.PENDING}0123456789ab-other"):
        path.mkdir()
    with disk.new_folder(tmp_path / "new[1]"):
        assert not mine.exists()
        assert others.exists()
        # Whoever tries the same meanwhile leaves this one alone.
        with disk.new_folder(tmp_path / "new[1]", replace=True):
            pass
    assert {path.name for path in tmp_path.iterdir()} == {"new[1]", others.name, f"{disk.PENDING}0123456789ab-other"}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder that was there before."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("old")
    return tmp_path / "kept"


def write(final: Path, replace: bool = False) -> None:
    with disk.new_folder(final, replace) as pending:
        (pending / "file").write_text("new")


def test_what_is_discarded_is_gone_and_leaves_no_trace_whoever_else_did_it(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def refused(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(StorageError, match="could not be removed"):
        disk.discard(kept)
    monkeypatch.undo()
    disk.discard(kept)
    assert list(kept.parent.iterdir()) == []
    # Whoever else wanted it gone has what they wanted.
    disk.discard(kept)


def test_what_goes_while_it_is_counted_is_passed_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, file = home / "adapters" / f"{disk.PENDING}0a-it", home / f"{disk.PENDING}0a-index"
    folder.mkdir(parents=True)
    (folder / "stays").write_text("four")
    (folder / "goes").write_text("more")
    file.write_text("more")
    looked = os.stat

    def gone(path: Path, *args: object, **kwargs: object) -> os.stat_result:
        """As its writer removes it after it was seen, and before its bytes are asked for."""
        found = looked(path, *args, **kwargs)  # type: ignore[arg-type]
        if Path(path).name in ("goes", file.name) and stat.S_ISREG(found.st_mode):
            Path(path).unlink()
        return found

    monkeypatch.setattr(os, "stat", gone)
    assert disk.size(folder) in (4, 8)
    [found] = checkup.leftovers(home)
    assert found.what.startswith("2 half-written")


def test_a_name_that_another_took_meanwhile_is_told_as_such(home: Path) -> None:
    final = home / "adapters" / "mine"
    with pytest.raises(StorageError, match="something has that name by now, and is unchanged") as refused, disk.new_folder(final):
        write(final)
    assert "HEADSTART_HOME" not in str(refused.value)
    assert [path.name for path in final.parent.iterdir()] == ["mine"]


def test_an_interrupt_when_the_new_one_stands_already_is_no_failure(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename

    def interrupted(source: Path, target: Path) -> None:
        rename(source, target)
        if source.name.startswith(disk.PENDING):
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(kept, replace=True)
    assert [path.name for path in kept.parent.iterdir()] == ["kept"]
    assert (kept / "file").read_text() == "new"


def test_a_disk_that_refuses_to_sync_a_name_that_stands_is_not_said_to_have_changed_nothing(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def refusing(handle: int) -> None:
        if os.path.samestat(os.fstat(handle), os.stat(kept.parent)):
            raise OSError(errno.EIO, "input/output error")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refusing)
    write(kept, replace=True)
    assert (kept / "file").read_text() == "new"
    (kept.parent / "part").write_text("new")
    disk.settle(kept.parent / "part", kept.parent / "whole")
    assert (kept.parent / "whole").read_text() == "new"
