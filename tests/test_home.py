"""The home folder: whose it is when headstart makes it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headstart import disk
from headstart.commands import worth
from headstart.config import make_folder
from headstart.serve import address
from headstart.serve.ledger import Ledger
from headstart.tasks import download
from headstart.train.run import open_run


def adapter(home: Path) -> None:
    with disk.new_folder(home / "adapters" / "a"):
        pass


def run(home: Path) -> None:
    with open_run(home / "runs" / "a", ""):
        pass


def note(_: Path) -> None:
    with address.noted("http://there"):
        pass


def fetch(home: Path) -> None:
    with download._alone(home / "tasks" / "a.zip.part", lambda: None):
        pass


MAKERS: dict[str, Callable[[Path], None]] = {
    "an adapter": adapter,
    "where a server answers": note,
    "a server's jobs": lambda home: Ledger(home / "serve" / "a.sqlite3").close(),
    "a run": run,
    "a measurement": lambda home: worth._add(home / "runs" / "a.jsonl", ""),
    "a download": fetch,
    "a look whether it can be": lambda home: disk.try_folder(home / "adapters" / "a"),
}


@pytest.fixture(autouse=True)
def usual_mask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("what", MAKERS)
def test_it_is_for_its_user_alone_whatever_makes_it(home: Path, what: str) -> None:
    MAKERS[what](home)
    assert mode(home) == 0o700


@pytest.mark.parametrize("what", MAKERS)
def test_one_that_is_there_stays_as_it_is(home: Path, what: str) -> None:
    home.mkdir(0o750)
    MAKERS[what](home)
    assert mode(home) == 0o750


def test_folders_above_it_and_elsewhere_are_as_usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "share" / "headstart"))
    make_folder(tmp_path / "share" / "headstart")
    make_folder(tmp_path / "else" / "where")
    assert [mode(tmp_path / it) for it in ("share", "share/headstart", "else", "else/where")] == [0o755, 0o700, 0o755, 0o755]
