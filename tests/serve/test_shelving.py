"""The shelf over HTTP: other names, removal that can be undone, downloads, and nothing told that is this machine's own."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from safetensors.torch import load, load_file

from headstart import disk
from headstart.adapters import trash
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.commands import shelf as commands
from headstart.episode import Example
from headstart.errors import NameRefused
from headstart.lm.load import Base
from headstart.serve.engine import Running
from headstart.serve.limits import Limits
from headstart.serve.placeless import placeless
from headstart.serve.shelving import Shelving
from headstart.serve.spare import Spare
from tests.serve.conftest import BASE, Place, loud


@pytest.fixture
def http(place: Place) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=str(place().base_url), timeout=60) as client:
        yield client


def test_adapters_are_told_with_their_cards_their_seats_and_their_problems(http: httpx.Client, shelf: Shelf, tmp_path: Path) -> None:
    (shelf.path("b") / "adapter_model.safetensors").write_bytes(b"\0")
    http.post("load_lora_adapter", json={"lora_name": "a"})
    said = http.get("adapters")
    rows = {row["id"]: row for row in said.json()["data"]}
    assert set(rows) == {"a", "b", "c", "d"}
    assert (rows["a"]["loaded"], rows["a"]["problem"], rows["d"]["loaded"]) == (True, None, False)
    assert rows["a"]["loaded_bytes"] > 0
    assert "are broken" in rows["b"]["problem"]
    assert str(tmp_path) not in said.text
    whole = http.get("adapters/c").json()
    assert [message["content"] for message in whole["before"][0]] == ["red please", "RED"]
    assert http.get("adapters/e").status_code == 404
    assert http.get("adapters/e").json()["error"]["message"].startswith("There is no adapter 'e'.")


@pytest.mark.parametrize(
    ("odd", "problem"),
    [
        ({"base": None}, None),
        ({"scores": {"base": {"exact_match": 1.0, "loss": float("nan")}}}, "scores.base.loss"),
        ({"glances": {"none": float("inf")}}, "glances.none"),
        ({"scores": {"adapter": 3}}, "scores.adapter"),
        ({"about": "\ud800"}, "not what headstart writes"),
    ],
    ids=str,
)
def test_one_odd_record_takes_no_other_off_the_shelf(
    http: httpx.Client, shelf: Shelf, odd: dict[str, Any], problem: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shelf.path("b") / "headstart.json").write_text(json.dumps(odd))
    rows = {row["id"]: row["problem"] for row in http.get("adapters").json()["data"]}
    assert (set(rows), rows["a"]) == (set("abcd"), None)
    assert (problem is None and rows["b"] is None) or problem in rows["b"]
    assert http.get("adapters/b").json()["problem"] == rows["b"]
    monkeypatch.setattr(commands, "Shelf", lambda: shelf)
    commands.list_all(as_json=False)


def test_another_name_is_given_at_once_and_never_one_that_is_taken(http: httpx.Client, shelf: Shelf) -> None:
    asked = {"model": "a", "messages": [{"role": "user", "content": "blue please"}], "temperature": 0, "max_tokens": 6}
    before = http.post("chat/completions", json=asked).json()["choices"]
    assert http.post("adapters/a/rename", json={"to": "first"}).json()["id"] == "first"
    assert http.post("chat/completions", json=asked).status_code == 404
    assert http.post("chat/completions", json=asked | {"model": "first"}).json()["choices"] == before
    assert "a" not in {row["id"] for row in http.get("adapters").json()["data"] if row["loaded"]}
    for to, code in (("b", 409), (BASE, 409), ("../x", 400), ("", 400), ("first", 409), ("sql", 400)):
        told = http.post("adapters/first/rename", json={"to": to})
        assert (told.status_code, told.json()["error"]["param"]) == (code, "to"), to
    assert http.post("adapters/none/rename", json={"to": "y"}).status_code == 404
    assert set(shelf.names()) == {"first", "b", "c", "d"}


def test_what_is_removed_comes_back_until_the_next_is_or_it_is_purged(http: httpx.Client, shelf: Shelf) -> None:
    assert http.delete("adapters/a").json() == {"id": "a", "object": "adapter", "deleted": True}
    assert http.get("models/a").status_code == 404
    assert [row["id"] for row in http.get("removed").json()["data"]] == ["a"]
    assert http.delete("adapters/a").status_code == 404
    assert http.post("removed/restore", json={"to": "b"}).status_code == 409
    assert http.post("removed/restore", json={}).json()["id"] == "a"
    assert http.post("removed/restore", json={}).status_code == 404
    http.delete("adapters/a")
    http.delete("adapters/b")
    assert [row["id"] for row in http.get("removed").json()["data"]] == ["b"]
    assert http.post("removed/restore", json={"to": "back"}).json()["id"] == "back"
    http.delete("adapters/c")
    assert http.delete("removed").json()["data"] == [{"id": "c", "object": "adapter", "deleted": True}]
    assert http.get("removed").json()["data"] == []
    assert sorted(path.name for path in shelf.root.iterdir()) == ["back", "d"]


def test_who_names_what_is_meant_has_it_or_nothing(http: httpx.Client, shelf: Shelf) -> None:
    http.delete("adapters/a")
    http.delete("adapters/b")
    for told in (http.delete("removed", params={"id": "a"}), http.post("removed/restore", json={"id": "a"})):
        assert (told.status_code, told.json()["error"]["param"]) == (409, "id")
    assert [row["id"] for row in http.get("removed").json()["data"]] == ["b"]
    assert http.post("removed/restore", json={"id": "b"}).json()["id"] == "b"
    http.delete("adapters/b")
    assert http.delete("removed", params={"id": "b"}).json()["data"] == [{"id": "b", "object": "adapter", "deleted": True}]
    assert http.delete("removed", params={"id": "b"}).status_code == 409
    assert shelf.names() == ["c", "d"]


def test_what_is_removed_between_the_question_and_the_purge_stays(shelf: Shelf) -> None:
    trash.remove(shelf, "a")
    last = trash.removed(shelf)
    trash.remove(shelf, "b")
    assert trash.purge(shelf, last) == []
    assert trash.restore(shelf) == "b"


def test_a_kill_between_two_removals_leaves_a_shelf_whose_last_can_be_had_back(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    trash.remove(shelf, "a")

    def kill(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(disk, "discard", kill)
    with pytest.raises(KeyboardInterrupt):
        trash.remove(shelf, "b")
    again = Shelf(shelf.root)
    assert again.names() == ["c", "d"]
    last = trash.removed(again)
    assert last is not None
    assert last.name == "b"
    assert trash.restore(again) == "b"
    # The one before is there still, as nothing took its place.
    assert trash.restore(again) == "a"
    with pytest.raises(NameRefused, match="Nothing was removed"):
        trash.restore(again)


@pytest.mark.parametrize(("form", "inside"), [("peft", "adapter_config.json"), ("gguf", "adapter.gguf")])
def test_an_adapter_is_had_as_a_zip_that_names_no_place(http: httpx.Client, base_folder: Path, form: str, inside: str) -> None:
    said = http.get(f"adapters/c/export/{form}")
    assert said.headers["content-disposition"] == f'attachment; filename="c-{form}.zip"'
    packed = zipfile.ZipFile(io.BytesIO(said.content))
    assert {f"c-{form}/{inside}", f"c-{form}/prefix.jsonl"} <= set(packed.namelist())
    assert str(base_folder.parent).encode() not in b"".join(packed.read(name) for name in packed.namelist())
    if form == "peft":
        assert json.loads(packed.read(f"c-peft/{inside}"))["base_model_name_or_path"] == base_folder.name


def test_a_zip_of_what_is_replaced_meanwhile_is_of_one_adapter(
    http: httpx.Client, own: Base, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix, written, record = Shelf.prefix, [], {"base": asdict(key_of(own)), "prefix": 0}

    def replaced(it: Shelf, name: str) -> list[Example]:
        if not written:
            written.append(it.write("c", loud(own, 7), record, 2, replace=True))
        return prefix(it, name)

    monkeypatch.setattr(Shelf, "prefix", replaced)
    packed = zipfile.ZipFile(io.BytesIO(http.get("adapters/c/export/peft").content))
    assert not [name for name in packed.namelist() if name.endswith("prefix.jsonl")]
    weights = load(packed.read("c-peft/adapter_model.safetensors"))
    assert all(torch.equal(w, weights[name]) for name, w in load_file(shelf.path("c") / "adapter_model.safetensors").items())


def test_what_cannot_be_exported_is_refused(http: httpx.Client, shelf: Shelf, tmp_path: Path) -> None:
    (shelf.path("b") / "adapter_model.safetensors").write_bytes(b"\0")
    told = [http.get(f"adapters/{path}") for path in ("b/export/peft", "none/export/peft", "c/export/exe", "c/export/ollama")]
    assert [it.status_code for it in told] == [409, 404, 404, 400]
    assert "are broken" in told[0].json()["error"]["message"]
    assert all(it.json()["error"]["message"] for it in told)
    assert not any(str(tmp_path) in it.text for it in told)


def test_starts_are_told_while_the_spare_base_is_at_work(own: Base, shelf: Shelf, running: Callable[..., Running], home: Path) -> None:
    spare = Spare(own)
    starts = Shelving(running(), shelf, spare, Limits(), set)._starts
    with ThreadPoolExecutor(1) as hands, spare.held():
        assert hands.submit(starts).result(10)


def test_answers_go_on_while_many_wait_for_the_spare_base(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, waiting, held = threading.Event(), threading.Barrier(41), Spare.held

    @contextmanager
    def slowly(spare: Spare) -> Iterator[Base]:
        assert go_on.wait(60)
        with held(spare) as base:
            yield base

    def ask(_: int) -> int:
        waiting.wait()
        return http.post("fine_tuning/forecast", json={"text": ""}).status_code

    monkeypatch.setattr(Spare, "held", slowly)
    with ThreadPoolExecutor(40) as hands:
        asked = hands.map(ask, range(40))
        try:
            waiting.wait()
            # Until they have come in.
            time.sleep(1)
            assert http.post("completions", json={"model": "a", "prompt": "x", "max_tokens": 1}, timeout=20).status_code == 200
        finally:
            go_on.set()
        assert {*asked} == {200}


def test_starts_are_told_with_whether_they_fit(http: httpx.Client) -> None:
    rows = {row["id"]: row for row in http.get("starts").json()["data"]}
    assert {"sql", "api", "general"} <= set(rows)
    assert not any(row["fits"] for row in rows.values())
    assert rows["sql"]["about"]


def test_no_page_of_another_place_can_change_anything(http: httpx.Client, shelf: Shelf) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
        told = http.delete("adapters/a", headers={"Origin": origin})
        assert (told.status_code, "another place" in told.text) == (403, True)
    assert "a" in shelf.names()
    # Programs that live in browsers may go on asking; that changes nothing.
    asked = {"model": "a", "prompt": "x", "max_tokens": 1}
    assert http.post("completions", json=asked, headers={"Origin": "chrome-extension://x"}).status_code == 200
    stated = {"Origin": "chrome-extension://x", "Content-Type": "Application/JSON; charset=utf-8"}
    assert http.post("completions", content=json.dumps(asked), headers=stated).status_code == 200
    own = f"http://{http.base_url.host}:{http.base_url.port}"
    assert http.delete("adapters/a", headers={"Origin": own}).status_code == 200


@pytest.mark.parametrize("kind", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "text/plain, application/json"}])
def test_what_a_page_may_send_without_asking_is_not_answered(http: httpx.Client, kind: dict[str, str]) -> None:
    asked = json.dumps({"model": "a", "prompt": "x", "max_tokens": 1})
    for origin in ("https://evil.example", "null", f"http://{http.base_url.host}:{http.base_url.port}"):
        told = http.post("completions", content=asked, headers=kind | {"Origin": origin})
        assert (told.status_code, "application/json" in told.json()["error"]["message"]) == (415, True)
    assert http.post("completions", content=asked, headers=kind).status_code == 200, "no browser"


def test_texts_name_no_place(home: Path, own: Base) -> None:
    told = placeless(f"'{home}/adapters/x' and /etc/some/where.json: see http://127.0.0.1:8000/v1/models or https://a.b/c/d, 3/4 and/or")
    assert told == "'$HEADSTART_HOME/adapters/x' and …/where.json: see http://127.0.0.1:8000/v1/models or https://a.b/c/d, 3/4 and/or"
    assert placeless(r"C:\Users\jane\x.gguf") == r"…/x.gguf"
