"""The file of jobs: one server's, and read by the next."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from headstart.errors import StorageError
from headstart.serve.ledger import Ledger, Wish


def test_two_servers_do_not_share_a_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "jobs.sqlite3")
    with pytest.raises(StorageError, match="another `headstart serve`"):
        Ledger(tmp_path / "jobs.sqlite3")
    kept = ledger.ask("file-1", None, Wish(metadata={"a": "b"}))
    ledger.close()
    again = Ledger(tmp_path / "jobs.sqlite3")
    assert again.first() == kept
    again.close()


def test_what_is_noted_together_is_noted_whole_or_not_at_all(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "jobs.sqlite3")
    job = ledger.ask("file-1", None, Wish())

    def killed() -> None:
        with ledger.together():
            ledger.end(job.id, "succeeded", result=ledger.keep("a", "b", b"c").id)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    assert (ledger.uploads(), ledger.job(job.id)) == ([], job)
    with ledger.together():
        ledger.end(job.id, "succeeded", result=ledger.keep("a", "b", b"c").id)
    ledger.close()
    ledger = Ledger(tmp_path / "jobs.sqlite3")
    now = ledger.job(job.id)
    assert now
    assert [it.id for it in ledger.uploads()] == [now.result]
    ledger.close()


def test_a_disk_that_refuses_the_end_of_what_is_noted_together_leaves_nothing_begun(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "jobs.sqlite3")
    # A deferred check fails where the transaction ends.
    ledger._db.executescript(
        "PRAGMA foreign_keys = ON; CREATE TABLE of (id INTEGER PRIMARY KEY);"
        "CREATE TABLE bad (id INTEGER REFERENCES of DEFERRABLE INITIALLY DEFERRED);"
    )

    def refused() -> None:
        with ledger.together():
            ledger.keep("a", "b", b"c")
            ledger._do("INSERT INTO bad VALUES (1)")

    with pytest.raises(StorageError, match="read or written"):
        refused()
    assert ledger.uploads() == []
    ledger.keep("a", "b", b"c")
    assert len(ledger.uploads()) == 1
    ledger.close()


def test_a_home_that_cannot_be_written_is_told_as_that(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "file" / "jobs.sqlite3", tmp_path / "folder"):
        with pytest.raises(StorageError, match="HEADSTART_HOME that can be read and written"):
            Ledger(place)


def test_what_cannot_be_had_is_not_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, connect = [], sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: opened.append(connect(*args, **more)) or opened[-1])
    (tmp_path / "jobs.sqlite3").write_text("no database " * 100)
    with pytest.raises(StorageError):
        Ledger(tmp_path / "jobs.sqlite3")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")
