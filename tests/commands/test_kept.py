"""What `headstart adapt` keeps before its report is there, and what it says of that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.adapters import trash
from headstart.adapters.store import Shelf
from headstart.commands import adapt as command
from headstart.errors import Diverged, HeadstartError, NoRoom, StorageError
from headstart.teach import lesson


@pytest.fixture
def adapt(headstart: Callable, colours: Path, base_folder: Path) -> Callable:
    return lambda name, *words: headstart("adapt", colours, "--name", name, "--steps", 1, "--base", base_folder, *words)


def meanwhile(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Something happens while an adapter is checked."""
    report = lesson.report

    def after(*given: object) -> object:
        do()
        return report(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(lesson, "report", after)


@pytest.mark.parametrize("words", [(), ("--replace",)])
def test_what_has_taken_its_name_meanwhile_stays(adapt: Callable, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    assert adapt("other").code == 0
    shelf = Shelf()

    def swapped() -> None:
        trash.remove(shelf, "hues")
        shelf.rename("other", "hues")

    other = shelf.record("other")
    meanwhile(monkeypatch, swapped)
    told = adapt("hues", *words)
    assert told.code == 1
    assert "'hues' was removed or renamed while it was checked, so its report is not kept." in told.err
    assert "is kept as it was taught" not in told.err
    assert shelf.record("hues") == other | {"name": "hues"}


def test_what_is_removed_meanwhile_stays_removed(adapt: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    meanwhile(monkeypatch, lambda: trash.remove(Shelf(), "hues"))
    assert adapt("hues").code == 1
    assert Shelf().names() == []


@pytest.mark.parametrize("kind", [Diverged, NoRoom, StorageError])
def test_whatever_ends_the_check_it_is_said_what_is_kept(
    adapt: Callable, kind: type[HeadstartError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends() -> None:
        raise kind("It ended.")

    meanwhile(monkeypatch, ends)
    told = adapt("hues")
    assert told.code == 1
    assert told.err.rstrip().endswith("It ended. 'hues' is kept as it was taught, and has no report.")
    assert Shelf().record("hues")["verdict"] is None


def test_ctrl_c_right_after_the_rename_is_told_what_is_kept(adapt: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = command.keep

    def stopped(*given: object) -> None:
        keep(*given)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "keep", stopped)
    told = adapt("hues")
    assert (told.code, told.err.splitlines()[-1]) == (130, "stopped: 'hues' is kept as it was taught, and has no report.")
