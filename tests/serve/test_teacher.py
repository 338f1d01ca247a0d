"""The teacher's thread between a look and the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headstart.adapters.store import Shelf
from headstart.lm.load import Base
from headstart.lm.twin import twin
from headstart.serve.engine import Running
from headstart.serve.ledger import Ledger
from headstart.serve.teacher import Teacher


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "jobs.sqlite3")
    yield ledger
    ledger.close()


def test_a_stop_between_a_look_and_the_next_is_heard(own: Base, shelf: Shelf, ledger: Ledger, running: Callable[..., Running]) -> None:
    teacher = Teacher(ledger, shelf, twin(own), running())
    awake, clear = teacher._awake, teacher._awake.clear

    def stopped_just_before() -> None:
        teacher._stopping.set()
        awake.set()
        clear()

    awake.clear = stopped_just_before  # type: ignore[method-assign]
    teacher.wake()
    teacher._thread.join(10)
    assert not teacher._thread.is_alive()
