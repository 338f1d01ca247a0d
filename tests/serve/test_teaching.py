"""Teaching over a real socket, with the client that people use: files, jobs, a restart in the middle."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import schemathesis
import torch
from hypothesis import HealthCheck, given, settings

from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.lm.generate import Sampling
from headstart.lm.load import Base
from headstart.serve import openapi
from headstart.serve.teacher import read_examples
from headstart.tasks import texts
from headstart.teach import Recipe, teach
from headstart.train.adapt import Schedule
from tests.serve.conftest import BASE, FILE, QUICK, Place, ended, uploaded
from tests.serve.test_engine import alone, ask
from tests.test_examples import run


def test_a_job_s_adapter_is_the_one_that_is_taught_by_hand(place: Place, own: Base, shelf: Shelf) -> None:
    by_hand = teach(own, read_examples("rows.jsonl", FILE), Recipe(steps=2, seed=3, rate=Schedule.rate))
    it = place()
    job = it.fine_tuning.jobs.create(**QUICK, training_file=uploaded(it), suffix="colours", seed=3, metadata={"start": "none", "for": "me"})
    assert job.status in ("queued", "running")
    done = ended(it, job.id)
    assert (done.status, done.fine_tuned_model, done.seed, done.error) == ("succeeded", "colours", 3, None)
    assert done.metadata == {"start": "none", "for": "me"}
    assert done.trained_tokens > 0
    assert done.finished_at >= done.created_at
    assert shelf.record("colours")["job"] == job.id
    got = shelf.read("colours", key_of(own))
    # The shelf holds fp16.
    assert all(torch.allclose(got[name], w.float(), rtol=2e-3, atol=1e-4) for name, w in by_hand.weights.items())
    assert any(w.abs().max() > 1e-3 for name, w in got.items() if name.endswith("lora_B"))
    assert tuple(shelf.prefix("colours")) == by_hand.prefix
    assert "colours" in {model.id for model in it.models.list()}
    said = it.chat.completions.create(model="colours", messages=[{"role": "user", "content": "red please"}], temperature=0, max_tokens=4)
    assert said.choices[0].message.content == alone(own, shelf, ask("colours", "red please", Sampling(max_tokens=4)))
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
        ("rows.exe", FILE, ".jsonl, .json, .csv or .tsv"),
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


def test_of_too_many_rows_no_more_are_read_than_tell_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    monkeypatch.setitem(texts._READERS, ".json", lambda text: ((row, read.append(row)) for row in range(10_000)))
    it = place(examples=12)
    with pytest.raises(openai.APIStatusError, match="more than 12 rows"):
        uploaded(it, b"[]", "rows.json")
    told = httpx.post(f"{it.base_url}fine_tuning/forecast", json={"text": "[]"})
    assert (told.status_code, told.json()["error"]["param"]) == (413, "text")
    assert read == [*range(13), *range(13)]


@pytest.mark.parametrize("charset", ["punycode", "unicode_escape", "utf-16", "utf-8", "UTF-8"])
def test_a_form_is_read_as_utf_8_alone(place: Place, charset: str) -> None:
    rows, form = FILE.decode(), 'Content-Disposition: form-data; name="{}'
    fields = [form.format('purpose"\r\n\r\nfine-tune'), form.format('file"; filename="\\ud800.jsonl"') + f"\r\n\r\n{rows}"]
    body = "".join(f"--x\r\n{it}\r\n" for it in fields) + "--x--\r\n"
    kind = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    said = httpx.post(f"{place().base_url}files", content=body, headers=kind)
    assert (said.status_code, "charset" in said.text) == ((200, False) if charset.lower() == "utf-8" else (400, True))


@pytest.mark.parametrize(
    ("wrong", "status", "told"),
    [
        ({"model": "a"}, 404, "cannot be taught"),
        ({"training_file": "file-none"}, 404, "no file"),
        ({"suffix": "../out"}, 400, "no adapter name"),
        ({"suffix": "a"}, 409, "already"),
        ({"suffix": "sql"}, 400, "--start sql means that one"),
        ({"suffix": "none"}, 400, "--start says for something else"),
        ({"suffix": BASE}, 409, "base's name"),
        ({"hyperparameters": {"n_epochs": 0}}, 400, "n_epochs"),
        ({"hyperparameters": {"batch_size": 4}}, 400, "batch_size"),
        ({"validation_file": "file-1"}, 400, "validation_file"),
        ({"method": {"type": "dpo"}}, 400, "method"),
        ({"metadata": {"start": "nowhere"}}, 400, "nowhere"),
        ({"suffix": "a", "metadata": {"replace": "yes"}}, 400, '"true" or "false"'),
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


def test_the_example_runs(place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told = run("teach_over_the_api.py", monkeypatch, capsys, str(place().base_url))
    assert "is taught and checked" in told
    assert "right 20:" in told


def test_whatever_the_description_allows_gets_an_answer_that_it_describes(place: Place, tmp_path: Path) -> None:
    address = str(place(tokens=4).base_url).removesuffix("/v1/")
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert Counter(it.method for it in operations) == {"get": 17, "post": len(openapi.BODIES) + 2, "delete": 3}
    assert {it.path for it in operations if any(body.media_type == "application/json" for body in it.body)} == openapi.BODIES.keys()
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


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("fine_tuning/jobs", b'{"model": "\xed\xa0\x80", "training_file": "file-1"}'),
        ("fine_tuning/jobs", b'{"model": "tiny", "training_file": "\xed\xa0\x80"}'),
        ("unload_lora_adapter", b'{"lora_name": "\xed\xa0\x80"}'),
        ("chat/completions", b'{"model": "tiny", "messages": [{"role": "user", "content": "\xed\xa0\x80"}]}'),
    ],
)
def test_half_a_character_in_bytes_is_refused_wherever_it_stands(place: Place, path: str, body: bytes) -> None:
    said = httpx.post(f"{place().base_url}{path}", content=body)
    assert (said.status_code, "no UTF-8" in said.text) == (400, True)


@pytest.mark.parametrize("limit", ["000001" + 5000 * "9", "0", "10001", "\u00b2", "-1", ""])
def test_a_limit_that_is_none_is_refused(place: Place, limit: str) -> None:
    said = httpx.get(f"{place().base_url}files", params={"limit": limit})
    assert (said.status_code, said.json()["error"]["param"]) == (400, "limit")
