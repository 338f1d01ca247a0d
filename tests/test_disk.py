"""Writes that happen whole or not at all: errors, kills and full disks in the middle of them."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors import SafetensorError

from headstart import disk
from headstart.errors import StorageError


def listing(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too, with its text."""
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def fail_inside(final: Path, error: BaseException, replace: bool = False) -> None:
    """Get half way through a folder."""
    with disk.new_folder(final, replace) as pending:
        (pending / "file").write_text("half")
        raise error


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder that was there before."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("old")
    return tmp_path / "kept"


def test_a_folder_appears_only_when_the_block_ends(tmp_path: Path) -> None:
    with disk.new_folder(tmp_path / "deep" / "new") as pending:
        (pending / "sub").mkdir()
        (pending / "sub" / "file").write_text("text")
        assert not (tmp_path / "deep" / "new").exists()
    assert listing(tmp_path) == {"deep/new/sub/file": "text"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_inside_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        fail_inside(tmp_path / "new", error())
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_replacing_leaves_the_former_one(kept: Path) -> None:
    with pytest.raises(ValueError, match="mine"):
        fail_inside(kept, ValueError("mine"), replace=True)
    assert listing(kept.parent) == {"kept/file": "old"}


def test_replacing_keeps_the_former_one_until_the_new_one_stands(kept: Path) -> None:
    with disk.new_folder(kept, replace=True) as pending:
        (pending / "other").write_text("new")
        assert listing(kept) == {"file": "old"}
    assert listing(kept.parent) == {"kept/other": "new"}


def test_without_leave_to_replace_a_full_folder_is_not_touched(kept: Path) -> None:
    with pytest.raises(StorageError, match="kept"), disk.new_folder(kept) as pending:
        (pending / "file").write_text("new")
    assert listing(kept.parent) == {"kept/file": "old"}


def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is on disk from now on, by name, and renames among it."""
    done: list[str] = []
    fsync, rename, replace = os.fsync, os.rename, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name), fsync(handle)))
    monkeypatch.setattr(os, "rename", lambda *paths: (done.append("rename"), rename(*paths)))
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("rename"), replace(*paths)))
    return done


def test_every_file_is_synced_before_the_folder_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = synced(monkeypatch)
    with disk.new_folder(tmp_path / "new") as pending:
        (pending / "a").write_text("a")
        (pending / "b").write_text("b")
    assert done[:2] == ["a", "b"]
    assert done[2].startswith(disk.PENDING)
    assert done[3:] == ["rename", tmp_path.name]


KILLED = """
import sys, time
from pathlib import Path
from headstart import disk
with disk.new_folder(Path(sys.argv[1]), replace=True) as pending:
    (pending / "file").write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_kill_in_the_middle_leaves_the_former_one_and_a_sweep_cleans_up(kept: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(kept)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        disk.sweep(kept.parent)
        assert len(list(kept.parent.iterdir())) == 2, "a sweep must leave alone what a living process is writing"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert listing(kept) == {"file": "old"}
    assert len(list(kept.parent.iterdir())) == 2
    disk.sweep(kept.parent)
    assert listing(kept.parent) == {"kept/file": "old"}
    assert [p.name for p in kept.parent.iterdir()] == ["kept"]


def test_a_kill_between_the_two_renames_is_mended(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A killed process runs no `except` and no `finally`: neither may this one.
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    rename, calls = os.rename, []

    def killed(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) > 1:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "rename", killed)
    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt), disk.new_folder(kept, replace=True) as pending:
        (pending / "file").write_text("new")
    monkeypatch.undo()
    assert not kept.exists(), "the point of this test is the moment at which neither stands"
    disk.sweep(kept.parent)
    assert listing(kept)["file"] == "old"


def test_a_kill_after_the_second_rename_leaves_the_new_one(kept: Path) -> None:
    former = kept.with_name(disk.FORMER + kept.name)
    former.mkdir()
    (former / "file").write_text("older still")
    disk.sweep(kept.parent)
    assert listing(kept.parent) == {"kept/file": "old"}


def test_a_replacement_that_fails_at_the_second_rename_puts_the_former_one_back(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename

    def refusing(source: Path, target: Path) -> None:
        if source.name.startswith(disk.PENDING):
            raise OSError(errno.EIO, "input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refusing)
    with pytest.raises(StorageError, match="unchanged"), disk.new_folder(kept, replace=True) as pending:
        (pending / "file").write_text("new")
    assert listing(kept.parent) == {"kept/file": "old"}


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_replacement_waits_for_one_in_the_same_folder(kept: Path) -> None:
    handle = os.open(kept.parent, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    threading.Timer(0.05, os.close, [handle]).start()
    with disk.new_folder(kept, replace=True) as pending:
        (pending / "file").write_text("new")
    assert listing(kept.parent) == {"kept/file": "new"}


def test_a_full_disk_at_the_sync_changes_nothing(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageError, match="disk is full"), disk.new_folder(kept, replace=True) as pending:
        (pending / "file").write_text("new")
    assert listing(kept.parent) == {"kept/file": "old"}


@pytest.mark.parametrize("full", [OSError(errno.ENOSPC, "full"), SafetensorError("I/O error: full (os error 28)")], ids=type)
def test_a_full_disk_while_the_block_writes_changes_nothing(kept: Path, full: Exception) -> None:
    with pytest.raises(StorageError, match="disk is full"):
        fail_inside(kept, full, replace=True)
    assert listing(kept.parent) == {"kept/file": "old"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield place
    # Also where a failure left a file open on it: a place that stays mounted fails whoever tidies up next.
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_disk_that_is_really_full_changes_nothing(small_disk: Path) -> None:
    with disk.new_folder(small_disk / "kept") as pending:
        (pending / "file").write_text("old")
    with pytest.raises(StorageError, match="disk is full"), disk.new_folder(small_disk / "kept", replace=True) as pending:
        (pending / "file").write_bytes(bytes(200_000))
    with pytest.raises(StorageError, match="disk is full"):
        disk.write_text(small_disk / "kept" / "file", "x" * 200_000)
    assert listing(small_disk) == {"kept/file": "old"}


def test_a_place_that_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match=re.escape(str(tmp_path / "file" / "new"))), disk.new_folder(tmp_path / "file" / "new"):
        pass


def test_text_is_written_whole_or_not_at_all(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.write_text(kept / "sub" / "text", "ä")
    assert (kept / "sub" / "text").read_text(encoding="utf-8") == "ä"
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageError, match="disk is full"):
        disk.write_text(kept / "file", "new")
    assert listing(kept) == {"file": "old", "sub/text": "ä"}


def test_a_hash_is_of_the_bytes(kept: Path) -> None:
    assert disk.sha256(kept / "file") == hashlib.sha256(b"old").hexdigest()


def test_the_index_saves_reading_until_the_file_changes(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = kept.parent / "deep" / "index.json"
    first = disk.sha256(kept / "file", index)
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("the file was read again"))
    assert disk.sha256(kept / "file", index) == first
    monkeypatch.undo()
    (kept / "file").write_text("changed")
    assert disk.sha256(kept / "file", index) == hashlib.sha256(b"changed").hexdigest()


@pytest.mark.parametrize("change", ["text", "length", "file"])
def test_the_index_knows_a_file_by_its_place_its_length_and_its_times(kept: Path, change: str) -> None:
    index, file, before = kept.parent / "index.json", kept / "file", (kept / "file").stat()
    disk.sha256(file, index)
    other = kept / "other" if change == "file" else file
    while not other.exists() or other.stat().st_ctime_ns == before.st_ctime_ns:  # The clock may tick every few milliseconds.
        other.write_text("newer" if change == "length" else "new")
        os.utime(other, ns=(0, before.st_mtime_ns))
    assert disk.sha256(other, index) == hashlib.sha256(other.read_bytes()).hexdigest()


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_broken_index_only_costs_time(kept: Path, text: str) -> None:
    index = kept.parent / "index.json"
    index.write_bytes(text.encode("latin-1"))
    assert disk.sha256(kept / "file", index) == hashlib.sha256(b"old").hexdigest()


def test_an_index_that_cannot_be_written_only_costs_time(kept: Path) -> None:
    assert disk.sha256(kept / "file", kept / "file" / "index.json") == hashlib.sha256(b"old").hexdigest()


def test_size_counts_the_files_below(kept: Path) -> None:
    (kept / "sub").mkdir()
    (kept / "sub" / "more").write_bytes(bytes(10))
    assert disk.size(kept) == 13


def test_a_complete_file_is_given_its_name_in_place_of_the_former(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file.part").write_text("new")
    (tmp_path / "file").write_text("old")
    done = synced(monkeypatch)
    disk.settle(tmp_path / "file.part", tmp_path / "file")
    assert done == ["file.part", "rename", tmp_path.name]
    assert listing(tmp_path) == {"file": "new"}


def test_a_file_that_cannot_be_given_its_name_leaves_the_former(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file.part").write_text("new")
    (tmp_path / "file").write_text("old")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StorageError, match="disk is full"):
        disk.settle(tmp_path / "file.part", tmp_path / "file")
    assert listing(tmp_path) == {"file.part": "new", "file": "old"}
