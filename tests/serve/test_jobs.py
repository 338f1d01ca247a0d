"""Jobs: in order, beside answers, cancelled, and begun again after a stop or a kill."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import openai
import pytest

from headstart import heap
from headstart.adapters import trash
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.errors import StorageError
from headstart.lm.generate import Sampling
from headstart.lm.load import Base
from headstart.plan import cards
from headstart.serve import teacher
from headstart.serve.ledger import Ledger
from headstart.teach import lesson, room, teach_from
from tests.serve.conftest import BASE, FILE, QUICK, Place, ended, loud, uploaded
from tests.serve.test_engine import alone, ask


def test_others_are_answered_while_a_job_is_at_work_and_as_ever(place: Place, own: Base, shelf: Shelf) -> None:
    expected = alone(own, shelf, ask("c", sampling=Sampling(max_tokens=12)))
    it = place()
    job = it.fine_tuning.jobs.create(model=BASE, training_file=uploaded(it), hyperparameters={"n_epochs": 1000})
    while it.fine_tuning.jobs.retrieve(job.id).status == "queued":
        time.sleep(0.01)
    for _ in range(5):
        said = it.chat.completions.create(model="c", messages=[{"role": "user", "content": "blue please"}], temperature=0, max_tokens=12)
        assert said.choices[0].message.content == expected
    assert it.fine_tuning.jobs.retrieve(job.id).status == "running"
    it.fine_tuning.jobs.cancel(job.id)


def test_jobs_wait_in_order_are_cancelled_and_bounded(place: Place, shelf: Shelf) -> None:
    it = place(jobs=3)
    file = uploaded(it)
    long: dict[str, Any] = {"model": BASE, "training_file": file, "hyperparameters": {"n_epochs": 1000}}
    first, second = (
        it.fine_tuning.jobs.create(**long, suffix="first"),
        it.fine_tuning.jobs.create(**QUICK, training_file=file, suffix="second"),
    )
    with pytest.raises(openai.ConflictError):
        it.fine_tuning.jobs.create(**QUICK, training_file=file, suffix="second")
    third = it.fine_tuning.jobs.create(**QUICK, training_file=file)
    with pytest.raises(openai.RateLimitError):
        it.fine_tuning.jobs.create(**QUICK, training_file=file)
    assert [job.id for job in it.fine_tuning.jobs.list(limit=2)] == [third.id, second.id, first.id]
    told: list[Any] = list(it.fine_tuning.jobs.list())
    assert [job.user_provided_suffix for job in told] == [None, "second", "first"]
    assert it.fine_tuning.jobs.cancel(third.id).status == "cancelled"
    assert it.fine_tuning.jobs.cancel(first.id).status == "cancelled"
    assert ended(it, second.id).status == "succeeded"
    with pytest.raises(openai.BadRequestError, match="ended"):
        it.fine_tuning.jobs.cancel(second.id)
    assert set(shelf.names()) == {"a", "b", "c", "d", "second"}
    assert not list(it.fine_tuning.jobs.checkpoints.list(second.id))


def test_what_a_stopped_server_had_begun_the_next_one_begins_again(place: Place, shelf: Shelf) -> None:
    it = place()
    long: dict[str, Any] = {"model": BASE, "training_file": uploaded(it), "suffix": "late", "hyperparameters": {"n_epochs": 60}}
    job = it.fine_tuning.jobs.create(**long)
    while it.fine_tuning.jobs.retrieve(job.id).status == "queued" or len(list(it.fine_tuning.jobs.list_events(job.id))) < 3:
        time.sleep(0.02)
    it = place()
    assert ended(it, job.id, 120).status == "succeeded"
    assert "begun again" in " ".join(event.message for event in it.fine_tuning.jobs.list_events(job.id, limit=1000))
    assert shelf.record("late")["steps"] == 60


def test_a_job_that_was_kept_before_a_kill_is_not_taught_twice(place: Place, shelf: Shelf, tmp_path: Path) -> None:
    it = place()
    job = it.fine_tuning.jobs.create(**QUICK, training_file=uploaded(it), suffix="kept")
    ended(it, job.id)
    before = (shelf.path("kept") / "adapter_model.safetensors").stat().st_mtime_ns
    place().close()
    # As if the kill had come between the shelf and the ledger.
    it = place_again(place, tmp_path, f"UPDATE jobs SET status = 'running', finished = NULL WHERE id = '{job.id}'")
    now = ended(it, job.id)
    assert (now.status, now.trained_tokens) == ("succeeded", None), "it is not known any more"
    assert (shelf.path("kept") / "adapter_model.safetensors").stat().st_mtime_ns == before


def test_a_job_in_which_servers_are_killed_is_not_begun_for_ever(place: Place, tmp_path: Path) -> None:
    it = place()
    long: dict[str, Any] = {"model": BASE, "training_file": uploaded(it), "suffix": "deadly", "hyperparameters": {"n_epochs": 1000}}
    job = it.fine_tuning.jobs.create(**long).id

    def told() -> str:
        return " ".join(event.message for event in it.fine_tuning.jobs.list_events(job, limit=1000))

    # To be stopped in order, however often, is no fault of the job.
    for _ in range(2):
        while "examples are read" not in told().partition("begun again")[0]:
            time.sleep(0.02)
        it = place()
    killed = f"UPDATE jobs SET status = 'running' WHERE id = '{job}'"
    it = place_again(place, tmp_path, killed)
    while "was killed in the middle" not in told():
        time.sleep(0.02)
    assert it.fine_tuning.jobs.retrieve(job).status == "running"
    it = place_again(place, tmp_path, killed)
    now = ended(it, job)
    assert now.status == "failed"
    assert "killed 2 times in the middle of this job" in now.error.message


class Held:
    """Reports wait until they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wanted, self.free, real = threading.Event(), threading.Event(), lesson.report

        def waits(*given: Any) -> Any:
            self.wanted.set()
            assert self.free.wait(60)
            return real(*given)

        monkeypatch.setattr(lesson, "report", waits)

    def begun(self, it: openai.OpenAI) -> str:
        """A job whose adapter is taught and whose report is wanted."""
        job = it.fine_tuning.jobs.create(**QUICK, training_file=uploaded(it), suffix="early")
        assert self.wanted.wait(60)
        return job.id


def answer(it: openai.OpenAI) -> str | None:
    asked: Any = {"messages": [{"role": "user", "content": "blue please"}], "temperature": 0, "max_tokens": 8}
    return it.chat.completions.create(model="early", **asked).choices[0].message.content


def test_an_adapter_answers_before_it_is_checked(place: Place, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    held, it = Held(monkeypatch), place()
    job = held.begun(it)
    now = it.fine_tuning.jobs.retrieve(job)
    assert (now.status, now.fine_tuned_model, shelf.record("early")["checked"]) == ("running", None, False)
    assert "'early' is taught and can be asked; it is checked on examples held out." in [
        event.message for event in it.fine_tuning.jobs.list_events(job)
    ]
    before, taught = answer(it), (shelf.path("early") / "adapter_model.safetensors").read_bytes()
    held.free.set()
    assert ended(it, job).fine_tuned_model == "early"
    record = shelf.record("early")
    assert record["checked"]
    assert record["verdict"]
    assert (shelf.path("early") / "adapter_model.safetensors").read_bytes() == taught
    assert record["prefix"] == 0 or answer(it) == before


def test_an_adapter_stays_whose_check_is_cancelled(place: Place, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    held, it = Held(monkeypatch), place()
    assert it.fine_tuning.jobs.cancel(held.begun(it)).status == "cancelled"
    held.free.set()
    assert answer(it) is not None
    assert shelf.record("early")["verdict"] is None


def test_the_next_server_checks_what_was_taught_before_a_kill(place: Place, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    held, it = Held(monkeypatch), place()
    job = held.begun(it)
    # A server that is stopped waits for the step that is at work.
    threading.Timer(0.2, held.free.set).start()
    it = place()
    assert ended(it, job).status == "succeeded"
    assert shelf.record("early")["checked"]


def test_what_is_removed_while_it_is_checked_stays_removed(place: Place, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    held, it = Held(monkeypatch), place()
    job = held.begun(it)
    trash.remove(shelf, "early")
    held.free.set()
    now = ended(it, job)
    assert now.status == "failed"
    assert "removed or renamed while it was checked" in now.error.message
    assert "early" not in shelf.names()


def place_again(place: Place, tmp_path: Path, statement: str) -> openai.OpenAI:
    """The next server, over a ledger that was changed in between."""
    real = Ledger.__init__

    def changed(self: Ledger, path: Path) -> None:
        real(self, path)
        self._do(statement)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "__init__", changed)
        return place()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", b'prompt,completion\nred please,"R\nED"\ntan please,TAN\n'),
        ("rows.json", json.dumps([{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d"}], indent=1).encode()),
    ],
)
def test_a_job_reads_a_file_as_its_upload_was_read(place: Place, name: str, content: bytes) -> None:
    it = place()
    job = it.fine_tuning.jobs.create(**QUICK, training_file=uploaded(it, content, name))
    assert ended(it, job.id).status == "succeeded"


@pytest.mark.parametrize("begun", [False, True])
def test_the_teacher_outlives_a_ledger_that_cannot_be_written(place: Place, monkeypatch: pytest.MonkeyPatch, begun: bool) -> None:
    it, real, failed = place(), Ledger.begin, count()

    def full(ledger: Ledger, job: str) -> None:
        if begun:
            real(ledger, job)
        if next(failed) < 3:
            monkeypatch.setattr(Ledger, "end", no_room)
            raise StorageError("no room")
        real(ledger, job)

    end = Ledger.end

    def no_room(*_: object, **__: object) -> None:
        monkeypatch.setattr(Ledger, "end", end)
        raise StorageError("no room")

    monkeypatch.setattr(Ledger, "begin", full)
    job = it.fine_tuning.jobs.create(**QUICK, training_file=uploaded(it))
    assert ended(it, job.id).status == "succeeded"
    assert next(failed) > 3


def test_a_failing_job_says_why_and_the_next_one_is_done(place: Place) -> None:
    it = place()
    long = b"\n".join(json.dumps({"prompt": "long " * 3000, "completion": str(i)}).encode() for i in range(2))
    bad, good = (it.fine_tuning.jobs.create(**QUICK, training_file=uploaded(it, content)) for content in (long, FILE))
    failed = ended(it, bad.id)
    assert failed.status == "failed"
    assert "tokens" in failed.error.message
    assert ended(it, good.id).fine_tuned_model == f"ft-{good.id.removeprefix('ftjob-')}"


def test_an_adapter_whose_record_is_broken_is_made_again(place: Place, shelf: Shelf) -> None:
    it = place()
    (shelf.path("a") / "headstart.json").write_text("{")
    job = it.fine_tuning.jobs.create(**QUICK, training_file=uploaded(it), suffix="a", metadata={"replace": "true", "start": "none"})
    now = ended(it, job.id)
    assert (now.status, now.fine_tuned_model) == ("succeeded", "a"), now.error
    assert shelf.record("a")["job"] == job.id


def test_a_start_of_another_base_fails_with_the_reason_and_no_place(place: Place, own: Base, base_folder: Path) -> None:
    it = place()
    Shelf().write("other", loud(own, 1), {"base": asdict(key_of(own)) | {"content": "beef"}}, 2)
    job = it.fine_tuning.jobs.create(**QUICK, training_file=uploaded(it), suffix="new", metadata={"start": "other"})
    now = ended(it, job.id)
    assert now.status == "failed"
    assert "'other' was made for" in now.error.message
    assert str(base_folder.parent) not in now.error.message


def test_a_job_takes_less_memory_where_there_is_less_and_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    it, tried = place(), []

    def refused_once(base: Base, examples: Any, begun: Any, *told: Any) -> Any:
        tried.append(begun[0].recipe.checkpoint)
        if len(tried) == 1:
            raise MemoryError
        return teach_from(base, examples, begun, *told)

    monkeypatch.setattr(teacher, "teach_from", refused_once)
    job = ended(it, it.fine_tuning.jobs.create(**QUICK, training_file=uploaded(it)).id)
    assert (job.status, tried) == ("succeeded", [False, True])
    said = {event.message: event.level for event in it.fine_tuning.jobs.list_events(job.id, limit=1000)}
    assert said["memory is short: layers computed again"] == "warn"


def test_a_job_that_fits_in_no_way_fails_with_the_numbers(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "place_of", lambda device: cards.Place("it", 1000, gpu=False))
    monkeypatch.setattr(heap, "lean", lambda: True)
    it = place()
    job = ended(it, it.fine_tuning.jobs.create(**QUICK, training_file=uploaded(it)).id)
    assert job.status == "failed"
    assert "0.00 GB are free on it" in job.error.message
