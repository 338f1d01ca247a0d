"""What comes between a look and what is done after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import openai
import pytest

from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.lm.load import Base
from headstart.lm.twin import twin
from headstart.serve.engine import Running
from headstart.serve.ledger import Job, Ledger, Wish
from headstart.serve.teacher import Teacher
from tests.serve.conftest import QUICK, Place, ended, loud, uploaded


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


def test_of_two_who_ask_for_one_name_at_once_the_later_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    it, real = place(), Ledger.ask
    file = uploaded(it)

    def slow(*given: Any) -> Job:
        time.sleep(0.5)
        return real(*given)

    def asked(_: int) -> int:
        try:
            it.fine_tuning.jobs.create(**QUICK, training_file=file, suffix="one")
        except openai.APIStatusError as error:
            return error.status_code
        return 200

    monkeypatch.setattr(Ledger, "ask", slow)
    with ThreadPoolExecutor(2) as hands:
        assert sorted(hands.map(asked, range(2))) == [200, 409]


def test_a_name_that_is_taken_meanwhile_is_told_in_the_api_s_words(
    place: Place, own: Base, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    it, real = place(), Ledger.begin

    def taken(ledger: Ledger, job: str) -> None:
        shelf.write("late", loud(own, 5), {"base": asdict(key_of(own))}, 2)
        real(ledger, job)

    monkeypatch.setattr(Ledger, "begin", taken)
    failed = ended(it, it.fine_tuning.jobs.create(**QUICK, training_file=uploaded(it), suffix="late").id)
    assert failed.status == "failed"
    assert 'or metadata {"replace": "true"}' in failed.error.message


def test_a_job_that_is_found_whole_and_cancelled_meanwhile_stays_cancelled(
    own: Base, shelf: Shelf, ledger: Ledger, running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, real = Teacher(ledger, shelf, twin(own), running()), Teacher._made
    job = ledger.ask("file-1", "whole", Wish())
    facts = {"base": asdict(key_of(own)), "job": job.id, "name": "whole", "steps": 2, "start": "none", "seconds": 1}
    shelf.write("whole", loud(own, 5), facts, 2)

    def cancelled(it: Teacher, job: Job) -> dict[str, Any] | None:
        assert it.cancel(job)
        return real(it, job)

    monkeypatch.setattr(Teacher, "_made", cancelled)
    teacher.wake()
    while ledger.first():
        time.sleep(0.02)
    teacher.stop()
    now = ledger.job(job.id)
    assert now
    assert now.status == "cancelled"


def test_a_job_whose_end_could_not_be_noted_leaves_one_report(
    own: Base, shelf: Shelf, ledger: Ledger, running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, real = ledger.ask("file-1", "whole", Wish()), Ledger.end
    facts = {"base": asdict(key_of(own)), "job": job.id, "checked": True, "name": "whole", "steps": 2, "start": "none", "seconds": 1}
    shelf.write("whole", loud(own, 5), facts, 2)
    left: list[int] = []

    def refused(it: Ledger, *given: Any, **more: Any) -> None:
        if not left:
            left.append(1)
            raise RuntimeError("killed")
        real(it, *given, **more)

    monkeypatch.setattr(Ledger, "end", refused)
    monkeypatch.setattr(Teacher, "_fail", lambda *_: None)
    teacher = Teacher(ledger, shelf, twin(own), running())
    while ledger.first():
        time.sleep(0.02)
    teacher.stop()
    now = ledger.job(job.id)
    assert now
    assert [it.id for it in ledger.uploads()] == [now.result]
    assert len(ledger.events(job.id)) == 1
