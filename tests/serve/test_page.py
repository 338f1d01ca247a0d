"""The page without a browser: what is sent, under which policy, with and without the key; forecasts, streams and this machine."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path

import httpx
import openai
import pytest

from headstart.adapters.starts import ALONE
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.disk import FORMER
from headstart.lm.load import Base
from headstart.plan import shape
from headstart.plan.clock import Speed
from headstart.serve import forecasting
from headstart.serve.studio import POLICY, shipped
from headstart.serve.told import number_of
from tests.serve.conftest import FILE, QUICK, Place, ended, loud, uploaded

ROOT = Path(__file__).parent.parent.parent
SOURCES = sorted((ROOT / "headstart" / "studio").iterdir())


@pytest.fixture(autouse=True)
def paced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this machine had been measured, which takes two seconds."""
    monkeypatch.setattr(forecasting, "measure", lambda *_: Speed(1e10, 1e10, "as the test says"))


def at(place: Place, **more: object) -> httpx.Client:
    return httpx.Client(base_url=str(place(**more).base_url).removesuffix("/v1/"), timeout=60)


def test_the_page_comes_whole_under_its_policy_and_without_the_key(place: Place) -> None:
    with at(place, key="secret") as http:
        told = http.get("/")
        names = re.findall(r'(?:src|href)="(/studio/[^"]+)"', told.text)
        assert {"/studio/main.js", "/studio/base.css", "/studio/icon.svg"} <= set(names)
        for name in ["/", *names, *(f"/studio/{it}" for it in shipped())]:
            told = http.get(name)
            assert (told.status_code, told.headers["content-security-policy"]) == (200, POLICY), name
            assert told.headers["x-content-type-options"] == "nosniff"
            assert http.get(name, headers={"If-None-Match": told.headers["etag"]}).status_code == 304
        assert http.get("/studio/none.js").status_code == http.get("/studio/..%2f..%2fpyproject.toml").status_code == 404
        for path in ("/v1/adapters", "/v1/starts", "/v1/removed", "/v1/machine", "/v1/adapters/a/export/peft"):
            assert http.get(path).status_code == 401, path
            assert http.get(path, headers={"Authorization": "Bearer secret"}).status_code == 200, path
        assert http.post("/v1/plan", json={}).status_code == http.delete("/v1/adapters/a").status_code == 401


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    parts = dict(part.strip().split(" ", 1) for part in POLICY.split(";"))
    assert parts["default-src"] == "'none'"
    assert {parts[f"{kind}-src"] for kind in ("script", "style", "connect", "img")} == {"'self'"}
    assert "unsafe" not in POLICY
    assert parts["require-trusted-types-for"] == "'script'"


def test_every_file_of_the_page_is_shipped_small_and_asks_nobody_else() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]["headstart"]
    assert {path.name for path in SOURCES} == set(shipped())
    for path in SOURCES:
        assert any(fnmatch(f"studio/{path.name}", pattern) for pattern in patterns), path.name
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 300, path.name
        assert path.suffix == ".svg" or max(map(len, text.splitlines())) <= 140, path.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\bstyle=|\bon[a-z]+=\"", text), path.name
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path.name


def test_rows_are_looked_at_one_by_one_and_what_they_take_is_forecast(place: Place) -> None:
    with at(place, examples=12) as http:
        ask = "/v1/fine_tuning/forecast"
        told = http.post(ask, json={"text": "red\tRED\ntan\tTAN\tx\n\nblue\tBLUE"}).json()
        assert (told["format"], told["good"]) == ("tsv", 2)
        assert [row["line"] for row in told["rows"]] == [1, 2, 4]
        assert "3" in told["rows"][1]["problem"]
        assert told["cost"]["verdict"] == "fits"
        assert 0 < told["cost"]["least_seconds"] <= told["cost"]["most_seconds"]
        assert 0 < told["cost"]["bytes"] < told["cost"]["free_bytes"]
        assert told["starts"] == ["none"]
        assert http.post(ask, json={"text": "red\tRED"}).json()["cost"] is None
        assert "no row is found" in http.post(ask, json={"text": "hello"}).json()["rows"][0]["problem"]
        assert "does not fit" in http.post(ask, json={"text": f"a\t{'b ' * 2000}"}).json()["rows"][0]["problem"]
        assert http.post(ask, json={"text": ""}).json()["rows"] == []
        csv = http.post(ask, json={"text": 'prompt,completion\n"a,\nb",c\n', "filename": "x.csv"}).json()
        assert (csv["good"], csv["rows"][0]["prompt"]) == (1, "a,\nb")
        said = [{"role": "user", "content": "a,\nb"}, {"role": "assistant", "content": "c"}]
        assert csv["rows"][0]["messages"] == said
        for wrong, code in (
            ({"text": "a\tb\n" * 13}, 413),
            ({"text": "a", "filename": "x.exe"}, 400),
            ({"text": "a", "start": "no"}, 400),
            ({}, 400),
        ):
            assert http.post(ask, json=wrong).status_code == code, wrong


def test_rows_for_a_base_that_the_planner_does_not_know_are_read_and_no_cost_is_told(
    place: Place, own: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shape, "FAMILIES", ())
    with at(place) as http:
        told = http.post("/v1/fine_tuning/forecast", json={"text": "red\tRED\ntan\tTAN"})
        assert told.status_code == 200
        assert (told.json()["good"], told.json()["cost"], told.json()["starts"]) == (2, None, ["none"])
        assert "cannot be forecast" in told.json()["unplanned"]
        assert str(Path(own.name).parent) not in told.text
        assert http.post("/v1/fine_tuning/forecast", json={"text": "red\tRED"}).json()["unplanned"] is None


def test_a_pace_that_is_measured_beside_others_is_measured_again_when_they_are_done(own: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = [Speed(number, 1.0, "as the test says") for number in (1.0, 2.0, 3.0)]
    monkeypatch.setattr(forecasting, "measure", lambda _: measured.pop(0))
    quiet = iter([False, False, True, False, True, True, True])
    pace = forecasting.Pace(lambda: next(quiet))
    # Twice beside others; then some come meanwhile; then none, and that is kept.
    assert [pace.of(own).arithmetic for _ in range(5)] == [1.0, 1.0, 2.0, 3.0, 3.0]


def test_where_the_base_would_fit_is_told_by_card_by_memory_and_here(place: Place) -> None:
    with at(place) as http:
        for where in ({}, {"card": "RTX 4090"}, {"memory": "1GB"}, {"examples": 1}):
            told = http.post("/v1/plan", json=where).json()
            assert (told["model"], told["verdict"]) == ("tiny-llama", "fits"), where
        assert set(told["purposes"]) == {"serve", "adapt", "meta-train", "full"}
        assert http.post("/v1/plan", json={"memory": "1MB"}).json()["verdict"] == "no"
        for wrong in ({"card": "RTX 9"}, {"memory": "much"}, {"card": "\ud800"}, {"card": "RTX 4090", "memory": "1GB"}, {"context": 10**6}):
            told = http.post("/v1/plan", content=json.dumps(wrong).encode())
            assert told.status_code == 400, wrong
            assert told.json()["error"]["message"]


@pytest.mark.parametrize("precision", ["4bit", "bf16", "fp32"])
def test_a_base_is_foretold_as_it_is_kept(place: Place, monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    # In 4 bits it computes in another format, which is not what it takes.
    monkeypatch.setattr(Base, "precision", precision)
    with at(place) as http:
        told = http.post("/v1/plan", json={}).json()
    assert told["base_bytes"] == told["base_bytes_by_precision"][precision]
    assert len({*told["base_bytes_by_precision"].values()}) > 2


def test_asking_about_this_machine_moves_nothing_on_the_shelf(place: Place, home: Path) -> None:
    former = home / "adapters" / f"{FORMER}mine"
    former.mkdir(parents=True)
    with at(place) as http:
        assert http.get("/v1/machine").status_code == http.get("/v1/starts").status_code == 200
    assert former.is_dir()


def test_this_machine_is_told_by_piece_and_names_no_place(place: Place, home: Path) -> None:
    with at(place) as http:
        http.post("/v1/load_lora_adapter", json={"lora_name": "a"})
        told = http.get("/v1/machine")
    memory = told.json()["memory"]
    assert set(memory["pieces"]) == {"base", "adapters", "answers", "prompts", "rest"}
    assert memory["pieces"]["base"] > 0 < memory["pieces"]["adapters"]
    assert sum(memory["pieces"].values()) == memory["process"]
    assert {"Python", "memory", "shelf"} <= {it["about"] for it in told.json()["findings"]}
    assert "RTX 4090" in told.json()["cards"]
    assert str(home) not in told.text
    assert not re.search(r"[\s'\"](?:/[\w.-]+){2,}", told.text)


def blocks(text: str) -> list[dict[str, str]]:
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in text.strip().split("\n\n") if not block.startswith(":")]


def test_a_job_is_told_as_it_goes_and_again_from_where_a_reader_was(place: Place) -> None:
    it = place()
    job = it.fine_tuning.jobs.create(**QUICK, training_file=uploaded(it), suffix="told", metadata={"scratch": "true"})
    path = f"{it.base_url}fine_tuning/jobs/{job.id}/events"
    with httpx.stream("GET", path, params={"stream": "true"}, timeout=60) as stream:
        told = blocks(stream.read().decode())
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert (told[-1]["event"], json.loads(told[-1]["data"])["status"]) == ("end", "succeeded")
    steps = [json.loads(block["data"])["data"] for block in told[:-1]]
    assert all(one["figures"]["loss"] > 0 for one in steps if one.get("what") in ("adapting", "checking on held-out examples"))
    assert any(
        set(one["figures"]) == {"base", "prompt", "weights", "prefixed"} for one in steps if one.get("what", "").startswith("asking")
    )
    assert set(steps[-1]["ways"]) == {"base", "prompt", "weights", "prefixed"}
    numbers = [number_of(block["id"]) or 0 for block in told[:-1]]
    assert numbers == sorted(set(numbers))
    for again in ({"headers": {"Last-Event-ID": told[2]["id"]}}, {"params": {"stream": "true", "after": told[2]["id"]}}):
        rest = httpx.get(path, **({"params": {"stream": "true"}} | again), timeout=60).text  # type: ignore[arg-type]
        assert blocks(rest) == told[3:]
    assert httpx.get(path, params={"stream": "yes"}).status_code == 400
    assert httpx.get(path, params={"stream": "true", "after": "ftevent-x"}).status_code == 404


def test_scratch_is_a_way_of_the_report_only_where_a_start_was_begun_from(place: Place, own: Base, home: Path) -> None:
    Shelf(home / "starts").write("mine", loud(own, 3), {"base": asdict(key_of(own)), "kind": "start"}, 4)
    it = place()
    file = uploaded(it)
    job = it.fine_tuning.jobs.create(**QUICK, training_file=file, suffix="its", metadata={"start": "mine", "scratch": "true"})
    report = json.loads(it.files.content(ended(it, job.id).result_files[0]).content)
    assert "scratch" in report["ways"]
    assert all("scratch" in row["got"] for row in report["held_out"])
    assert set(report["scores"]) == {"base", "prompt", "adapter"}
    with pytest.raises(openai.BadRequestError, match="scratch"):
        it.fine_tuning.jobs.create(**QUICK, training_file=file, suffix="odd", metadata={"scratch": "yes"})


def test_weights_that_stand_alone_are_taught_where_they_are_asked_for(place: Place, own: Base, home: Path, shelf: Shelf) -> None:
    record = {"base": asdict(key_of(own)), "kind": "start", "steps": 2, "rate": 0.001}
    Shelf(home / "starts").write("mine", loud(own, 3), record, 4)
    it = place()
    file = uploaded(it)
    alone = {"start": "mine", "prefix": "false", "scratch": "true"}
    job = it.fine_tuning.jobs.create(model=QUICK["model"], training_file=file, suffix="alone", metadata=alone)
    report = json.loads(it.files.content(ended(it, job.id).result_files[0]).content)
    assert (report["steps"], report["start"]) == (ALONE.steps, "mine")
    assert set(report["ways"]) == {"base", "prompt", "weights", "scratch"}
    assert not shelf.prefix("alone")
    with pytest.raises(openai.BadRequestError, match="prefix"):
        it.fine_tuning.jobs.create(**QUICK, training_file=file, suffix="odd", metadata={"prefix": "no"})


def test_a_forecast_is_of_the_form_that_is_asked_for(place: Place, own: Base, home: Path) -> None:
    record = {"base": asdict(key_of(own)), "kind": "start", "steps": 1, "rate": 0.001}
    Shelf(home / "starts").write("mine", loud(own, 3), record, 4)
    asked = {"text": FILE.decode(), "start": "mine"}
    url = f"{place().base_url}fine_tuning/forecast"
    behind, alone = (httpx.post(url, json=asked | {"prefix": prefix}, timeout=60).json()["cost"] for prefix in (True, False))
    assert alone["ready_most_seconds"] > 5 * behind["ready_most_seconds"]
