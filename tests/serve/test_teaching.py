"""Teaching over a real socket, with the client that people use: files, jobs, a restart in the middle."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings

from headstart.adapters.store import Shelf
from headstart.errors import StorageError
from headstart.lm.generate import Sampling
from headstart.lm.load import Base
from headstart.lm.twin import twin
from headstart.serve import openapi
from headstart.serve.api import Api
from headstart.serve.engine import Running
from headstart.serve.ledger import Ledger, Wish
from headstart.serve.limits import Limits
from headstart.serve.teacher import Teacher
from headstart.serve.teaching import Teaching
from tests.serve.test_engine import alone, ask
from tests.test_examples import run

BASE = "tiny"
ROWS = [
    {"messages": [{"role": "user", "content": f"{w} please"}, {"role": "assistant", "content": w.upper()}]} for w in ("red", "tan", "blue")
]
FILE = "\n".join(map(json.dumps, ROWS)).encode()
QUICK: dict[str, Any] = {"model": BASE, "hyperparameters": {"n_epochs": 2}}
Place = Callable[..., openai.OpenAI]


@pytest.fixture
def place(own: Base, shelf: Shelf, running: Callable[..., Running], tmp_path: Path, home: Path) -> Iterator[Place]:
    """Serves and teaches, and gives a client; called again it is the next server, after the one before was stopped."""
    stops: list[Callable[[], None]] = []

    def serve(**limits: Any) -> openai.OpenAI:
        for stop in stops:
            stop()
        stops.clear()
        pupil, ledger = twin(own), Ledger(tmp_path / "jobs.sqlite3")
        engine = running()
        teacher = Teacher(ledger, shelf, pupil, engine)
        teaching = Teaching(ledger, teacher, shelf, BASE, Limits(**limits))
        app = Api(engine, BASE, Limits(**limits), drain=1).app(None, ["127.0.0.1"], teaching.routes())
        server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, log_level="critical", timeout_graceful_shutdown=1))
        there = server.config.bind_socket()
        thread = threading.Thread(target=server.run, args=([there],), daemon=True)
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join()
            teacher.stop()
            ledger.close()

        stops.append(stop)
        while not server.started:
            time.sleep(0.01)
        return openai.OpenAI(base_url=f"http://127.0.0.1:{there.getsockname()[1]}/v1", api_key="none", max_retries=0, timeout=60)

    yield serve
    for stop in stops:
        stop()


def ended(it: openai.OpenAI, job: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while (now := it.fine_tuning.jobs.retrieve(job)).status in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return now


def uploaded(it: openai.OpenAI, content: bytes = FILE, name: str = "rows.jsonl") -> str:
    return it.files.create(file=(name, content), purpose="fine-tune").id


def test_a_job_s_adapter_answers_as_one_taught_by_hand(place: Place, shelf: Shelf) -> None:
    it = place()
    job = it.fine_tuning.jobs.create(**QUICK, training_file=uploaded(it), suffix="colours", seed=3, metadata={"start": "none", "for": "me"})
    assert job.status in ("queued", "running")
    done = ended(it, job.id)
    assert (done.status, done.fine_tuned_model, done.seed, done.error) == ("succeeded", "colours", 3, None)
    assert done.metadata == {"start": "none", "for": "me"}
    assert done.trained_tokens > 0
    assert done.finished_at >= done.created_at
    assert shelf.record("colours")["job"] == job.id
    assert "colours" in {model.id for model in it.models.list()}
    said = it.chat.completions.create(model="colours", messages=[{"role": "user", "content": "red please"}], temperature=0, max_tokens=4)
    assert said.choices[0].finish_reason in ("stop", "length")
    events = list(it.fine_tuning.jobs.list_events(job.id, limit=3))
    assert [event.message for event in events][-1] == "3 examples are read."
    assert "is taught" in events[0].message
    report = json.loads(it.files.content(done.result_files[0]).content)
    assert report == events[0].data
    assert report["steps"] == 2
    assert set(report["scores"]) == {"base", "prompt", "adapter"}
    assert not {"path", "base", "job"} & set(report)


def test_files_are_listed_told_given_and_forgotten(place: Place) -> None:
    it = place()
    first, second = uploaded(it), uploaded(it, b'prompt,completion\na,"x\ny"\nb,z\n', "..\\away\\rows.csv")
    assert [file.id for file in it.files.list()] == [second, first]
    assert [file.id for file in it.files.list(order="asc", limit=1)] == [first, second]
    assert it.files.retrieve(second).filename == "rows.csv"
    assert it.files.content(first).content == FILE
    assert it.files.delete(first).deleted
    with pytest.raises(openai.NotFoundError):
        it.files.retrieve(first)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("rows.jsonl", b'{"messages": []}\n{"prompt": "a"}\n{"prompt": "a", "completion": "b"}', "line 2"),
        ("rows.jsonl", b"\xff\xfe", "not UTF-8"),
        ("rows.jsonl", b'{"prompt": "a", "completion": "b"}', "at least 2"),
        ("rows.exe", FILE, ".jsonl, .json or .csv"),
    ],
)
def test_a_bad_file_is_refused_with_what_is_wrong(place: Place, name: str, content: bytes, told: str) -> None:
    it = place()
    with pytest.raises(openai.BadRequestError, match=told):
        uploaded(it, content, name)
    assert not list(it.files.list())


def test_uploads_are_bounded(place: Place) -> None:
    it = place(upload=4096, examples=3, stored=2 * len(FILE) - 1)
    with pytest.raises(openai.APIStatusError) as large:
        uploaded(it, b"x" * 5000)
    with pytest.raises(openai.APIStatusError) as many:
        uploaded(it, b"\n".join([FILE, FILE]))
    uploaded(it)
    with pytest.raises(openai.APIStatusError, match="delete some first") as full:
        uploaded(it)
    assert [error.value.status_code for error in (large, many, full)] == [413, 413, 413]
    raw = httpx.post(f"{it.base_url}files", content=b"--x", headers={"content-type": "multipart/form-data; boundary=y"})
    assert raw.status_code == 400
    assert httpx.post(f"{it.base_url}files", json={}).status_code == 400


@pytest.mark.parametrize(
    ("wrong", "status", "told"),
    [
        ({"model": "a"}, 404, "cannot be taught"),
        ({"training_file": "file-none"}, 404, "no file"),
        ({"suffix": "../out"}, 400, "no adapter name"),
        ({"suffix": "a"}, 409, "already"),
        ({"suffix": BASE}, 409, "base's name"),
        ({"hyperparameters": {"n_epochs": 0}}, 400, "n_epochs"),
        ({"hyperparameters": {"batch_size": 4}}, 400, "batch_size"),
        ({"validation_file": "file-1"}, 400, "validation_file"),
        ({"method": {"type": "dpo"}}, 400, "method"),
        ({"metadata": {"start": "nowhere"}}, 400, "nowhere"),
    ],
)
def test_a_job_that_cannot_be_done_is_refused(place: Place, wrong: dict[str, Any], status: int, told: str) -> None:
    it = place()
    with pytest.raises(openai.APIStatusError, match=told) as refused:
        it.fine_tuning.jobs.create(**QUICK | {"training_file": uploaded(it)} | wrong)
    assert refused.value.status_code == status
    assert not list(it.fine_tuning.jobs.list())


def test_a_name_is_taken_again_only_where_that_is_asked_for(place: Place, shelf: Shelf) -> None:
    it = place()
    file, before = uploaded(it), shelf.record("a")
    job = it.fine_tuning.jobs.create(**QUICK, training_file=file, suffix="a", metadata={"replace": "true"})
    assert ended(it, job.id).status == "succeeded"
    assert shelf.record("a") != before


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
    assert ended(it, job.id).status == "succeeded"
    assert (shelf.path("kept") / "adapter_model.safetensors").stat().st_mtime_ns == before


def place_again(place: Place, tmp_path: Path, statement: str) -> openai.OpenAI:
    """The next server, over a ledger that was changed in between."""
    real = Ledger.__init__

    def changed(self: Ledger, path: Path) -> None:
        real(self, path)
        self._do(statement)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "__init__", changed)
        return place()


def test_a_failing_job_says_why_and_the_next_one_is_done(place: Place) -> None:
    it = place()
    long = b"\n".join(json.dumps({"prompt": "long " * 3000, "completion": str(i)}).encode() for i in range(2))
    bad, good = (it.fine_tuning.jobs.create(**QUICK, training_file=uploaded(it, content)) for content in (long, FILE))
    failed = ended(it, bad.id)
    assert failed.status == "failed"
    assert "tokens" in failed.error.message
    assert ended(it, good.id).fine_tuned_model == f"ft-{good.id.removeprefix('ftjob-')}"


def test_two_servers_do_not_share_a_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "jobs.sqlite3")
    with pytest.raises(StorageError, match="another `headstart serve`"):
        Ledger(tmp_path / "jobs.sqlite3")
    kept = ledger.ask("file-1", None, Wish(metadata={"a": "b"}))
    ledger.close()
    again = Ledger(tmp_path / "jobs.sqlite3")
    assert again.first() == kept
    again.close()


def test_the_example_runs(place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told = run("teach_over_the_api.py", monkeypatch, capsys, str(place().base_url))
    assert "is taught and can be asked" in told
    assert "right 20:" in told


def test_whatever_the_description_allows_gets_an_answer_that_it_describes(place: Place, tmp_path: Path) -> None:
    address = str(place(tokens=4).base_url).removesuffix("/v1/")
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == len(openapi.READS) + len(openapi.BODIES) + 3
    codes: Counter[int] = Counter()
    for operation in operations:

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def ask_and_look(case: Any) -> None:
            if isinstance(case.body, dict) and "model" in case.body:
                case.body["model"] = BASE
            said = case.call(timeout=60)
            codes[said.status_code] += 1
            assert said.status_code < 500, said.text
            assert str(tmp_path) not in said.text
            if said.status_code >= 400:
                assert said.json()["error"]["message"]

        ask_and_look()
    assert sum(codes.values()) > 300
    assert codes[200] > 30
    assert {400, 404} <= set(codes)
