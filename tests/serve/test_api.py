"""The wire, over a real socket, with the clients that people use."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import uvicorn

from headstart.adapters.store import Shelf
from headstart.errors import SettingsError
from headstart.lm.generate import Sampling
from headstart.lm.load import Base
from headstart.serve.api import Api
from headstart.serve.engine import Running
from headstart.serve.limits import Limits, check_address
from headstart.serve.row import Row
from tests.serve.test_engine import alone, answer, ask

BASE = "tiny"
Up = Callable[..., str]


@pytest.fixture
def up(running: Callable[..., Running]) -> Iterator[Up]:
    """Serves, and gives the address."""
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def serve(key: str | None = None, limits: Limits | None = None, **settings: Any) -> str:
        app = Api(running(**settings), BASE, limits or Limits(), drain=1).app(key, ["127.0.0.1"])
        server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, log_level="critical", timeout_graceful_shutdown=1))
        there = server.config.bind_socket()
        thread = threading.Thread(target=server.run, args=([there],), daemon=True)
        thread.start()
        servers.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{there.getsockname()[1]}"

    yield serve
    for server, thread in servers:
        server.should_exit = True
        thread.join()


def client(address: str, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0, timeout=60)


def test_the_official_client_chats_streams_completes_and_lists(own: Base, shelf: Shelf, up: Up) -> None:
    it = client(up())
    expected = alone(own, shelf, ask("c", sampling=Sampling(max_tokens=12)))
    asked: dict[str, Any] = {"model": "c", "messages": [{"role": "user", "content": "blue please"}], "temperature": 0, "max_tokens": 12}
    whole = it.chat.completions.create(**asked)
    assert whole.choices[0].message.content == expected
    assert whole.choices[0].finish_reason in ("stop", "length")
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    chunks = list(it.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == expected
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    plain = it.completions.create(model=BASE, prompt=["red red", "grey"], n=2, max_tokens=4, temperature=0, logprobs=2)
    assert [choice.index for choice in plain.choices] == [0, 1, 2, 3]
    assert plain.choices[0].text == plain.choices[1].text != plain.choices[2].text
    assert plain.choices[0].logprobs is not None
    assert len(plain.choices[0].logprobs.tokens or []) == 4
    assert {model.id for model in it.models.list()} == {BASE, "a", "b", "c", "d"}
    assert it.models.retrieve("a").model_dump()["parent"] == BASE


def test_chances_seeds_and_log_probabilities(up: Up) -> None:
    it = client(up())
    asked: dict[str, Any] = {"model": "a", "messages": [{"role": "user", "content": "tan"}], "max_tokens": 8, "temperature": 2.0}
    first, again = (it.chat.completions.create(**asked, seed=5, n=3) for _ in range(2))
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in again.choices]
    assert len(set(texts)) == 3
    told = it.chat.completions.create(**asked, logprobs=True, top_logprobs=2).choices[0].logprobs
    assert told is not None
    assert told.content
    assert all(len(place.top_logprobs) == 2 for place in told.content)
    streamed = list(it.chat.completions.create(**asked, seed=5, n=3, stream=True))
    grown = ["".join(c.choices[0].delta.content or "" for c in streamed if c.choices[0].index == i) for i in range(3)]
    assert grown == texts


def test_an_unknown_model_is_not_found_and_never_the_base(up: Up) -> None:
    it = client(up())
    with pytest.raises(openai.NotFoundError, match="no adapter 'e'"):
        it.chat.completions.create(model="e", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(openai.NotFoundError):
        it.models.retrieve("../a")
    with pytest.raises(openai.NotFoundError):
        it.completions.create(model="../../etc/passwd", prompt="x")


def test_without_the_key_nothing_but_health_is_told(up: Up) -> None:
    address = up(key="secret")
    with pytest.raises(openai.AuthenticationError):
        client(address, "wrong").models.list()
    assert list(client(address, "secret").models.list())
    assert httpx.get(f"{address}/health").json() == {"status": "ok"}
    assert httpx.get(f"{address}/metrics").status_code == 401
    with pytest.raises(SettingsError, match="--api-key"):
        check_address("0.0.0.0", None)
    check_address("0.0.0.0", "secret")
    check_address("127.0.0.1", None)


def test_a_page_elsewhere_cannot_reach_it_by_a_name_of_its_own(up: Up) -> None:
    address = up()
    assert httpx.get(f"{address}/v1/models", headers={"Host": "evil.example"}).status_code == 400
    answered = httpx.options(f"{address}/v1/models", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"})
    assert not any(name.startswith("access-control") for name in answered.headers)


def test_figures_are_told_in_full(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Running, "figures", lambda _: {"tokens_read": 12_345_678, "rows": 3})
    told = httpx.get(f"{up()}/metrics").text.splitlines()
    assert "headstart_tokens_read_total 12345678" in told
    assert "headstart_rows 3" in told
    assert [line for line in told if line.startswith("#")] == ["# TYPE headstart_tokens_read_total counter", "# TYPE headstart_rows gauge"]


def test_vllm_s_routes_load_and_unload_by_name_alone(shelf: Shelf, up: Up) -> None:
    address = up()
    load, unload = f"{address}/v1/load_lora_adapter", f"{address}/v1/unload_lora_adapter"
    assert httpx.post(load, json={"lora_name": "a", "lora_path": "a"}).status_code == 200
    assert "headstart_adapters 1\n" in httpx.get(f"{address}/metrics").text
    assert httpx.post(unload, json={"lora_name": "a"}).status_code == 200
    assert httpx.post(unload, json={"lora_name": "a"}).status_code == 404
    assert httpx.post(load, json={"lora_name": "../a"}).status_code == 404
    assert httpx.post(load, json={"lora_name": "a", "lora_path": str(shelf.path("a"))}).status_code == 400


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b"\xff", None),
        (b'{"a":' * 100_000, None),
        ({"messages": [{"role": "user", "content": "x"}]}, "model"),
        ({"model": BASE, "messages": []}, "messages"),
        ({"model": BASE, "messages": [{"role": "tool", "content": "x"}]}, "messages"),
        ({"model": BASE, "messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        ({"model": BASE, "messages": [{"role": "user", "content": "x", "name": "ann"}]}, "messages"),
        ({"model": BASE, "messages": [{"role": "user", "content": "x"}], "tools": []}, "tools"),
        ({"model": BASE, "messages": [{"role": "user", "content": "x"}], "temperature": "hot"}, "temperature"),
        ({"model": BASE, "messages": [{"role": "user", "content": "x"}], "presence_penalty": 1.0}, "presence_penalty"),
        ({"model": BASE, "messages": [{"role": "user", "content": "x"}], "max_tokens": 10**9}, "max_tokens"),
        ({"model": BASE, "messages": [{"role": "user", "content": "x"}], "max_completion_tokens": 10**9}, "max_completion_tokens"),
        ({"model": BASE, "messages": [{"role": "user", "content": "x"}], "n": 99}, "n"),
        ({"model": BASE, "messages": [{"role": "user", "content": "red " * 100_000}]}, None),
        ({"model": BASE, "messages": [{"role": "user", "content": "\ud800"}]}, None),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name(up: Up, body: Any, param: str | None) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = httpx.post(f"{up()}/v1/chat/completions", content=content)
    assert told.status_code == 400
    assert told.json()["error"]["param"] == param
    assert told.json()["error"]["message"]


def test_a_body_too_large_or_too_slow_is_refused(up: Up) -> None:
    address = up(limits=Limits(body=1000, body_seconds=0.2))
    assert httpx.post(f"{address}/v1/completions", content=b"x" * 2000).status_code == 413
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as slow:
        slow.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\n{")
        assert b" 408 " in slow.recv(4096)


@pytest.fixture
def slow(own: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers end by their length alone, and take seconds."""
    monkeypatch.setattr(type(own.chat), "stops", property(lambda _: (-1,)))
    write = Running._go_on

    def slowly(engine: Running, rows: list[Row]) -> None:
        time.sleep(0.05)
        write(engine, rows)

    monkeypatch.setattr(Running, "_go_on", slowly)


@pytest.mark.usefixtures("slow")
def test_a_broken_adapter_and_a_full_queue_say_so_without_a_path(shelf: Shelf, up: Up, tmp_path: Path) -> None:
    (shelf.path("b") / "adapter_model.safetensors").write_bytes(b"\0")
    address = up(rows=1, queue=0)
    said = httpx.post(f"{address}/v1/completions", json={"model": "b", "prompt": "x"})
    assert (said.status_code, "The weights of" in said.json()["error"]["message"]) == (409, True), said.text
    assert str(tmp_path) not in said.text
    assert {it["id"] for it in httpx.get(f"{address}/v1/models").json()["data"]} == {BASE, "a", "c", "d"}
    long = {"model": "a", "prompt": "x", "max_tokens": 4000, "temperature": 2.0, "stream": True, "seed": 1}
    with httpx.stream("POST", f"{address}/v1/completions", json=long) as held:
        # Kept, as one that is let go hangs up.
        lines = held.iter_lines()
        next(lines)
        busy = httpx.post(f"{address}/v1/completions", json={"model": "a", "prompt": "x"})
        assert busy.status_code == 429, busy.text
        assert busy.headers["retry-after"] == "1"
    # The stream was hung up: its row is free again.
    for _ in range(100):
        if httpx.post(f"{address}/v1/completions", json={"model": "a", "prompt": "x", "max_tokens": 1}).status_code == 200:
            return
        time.sleep(0.1)
    raise AssertionError("the row was never freed")


@pytest.mark.usefixtures("slow")
def test_a_client_that_leaves_frees_its_row(up: Up, running: Callable[..., Running]) -> None:
    address = up(rows=1, queue=5)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{address}/v1/completions", json={"model": "a", "prompt": "x", "max_tokens": 4000, "temperature": 2.0}, timeout=0.5)
    answered = httpx.post(f"{address}/v1/completions", json={"model": "b", "prompt": "x", "max_tokens": 1}, timeout=20)
    assert answered.status_code == 200


def test_a_thousand_odd_requests_get_no_server_error_and_tell_no_path(up: Up, tmp_path: Path) -> None:
    address, rng = up(), random.Random(0)
    odd: list[Any] = [None, True, -1, 0, 1, 1.5, 1e308, "", "x", "\0", "é" * 50, [], [[]], {}, {"a": 1}, "../..", [1, 2], ["x"] * 3]
    names = [
        "model", "messages", "prompt", "n", "max_tokens", "temperature", "top_p", "seed", "stop", "logprobs", "stream", "user",
        "lora_name", "echo", "suffix",
    ]  # fmt: skip
    paths = ["chat/completions", "completions", "load_lora_adapter", "unload_lora_adapter", "models", "models/x", "nothing"]
    codes = set()
    with httpx.Client(base_url=f"{address}/v1/", timeout=60) as http:
        for _ in range(1000):
            body: dict[str, Any] = {"model": rng.choice(["a", BASE, *odd]), "max_tokens": 1}
            body |= {"messages": [{"role": "user", "content": rng.choice(["red", *odd])}], "prompt": rng.choice(["red", *odd])}
            for name in rng.sample(names, rng.randint(0, 3)):
                body[name] = rng.choice(odd)
            for name in rng.sample(names, rng.randint(0, 12)):
                body.pop(name, None)
            said = http.request(rng.choice(["POST", "POST", "POST", "GET", "DELETE"]), rng.choice(paths), content=json.dumps(body))
            codes.add(said.status_code)
            assert said.status_code < 500, (body, said.text)
            assert not any(mark in said.text for mark in ("Traceback", str(tmp_path), ".py")), said.text
    assert {200, 400, 404, 405} <= codes


def test_the_engine_s_stream_and_the_wire_agree(shelf: Shelf, up: Up, running: Callable[..., Running]) -> None:
    address = up()
    one = httpx.post(f"{address}/v1/completions", json={"model": "d", "prompt": "red tan", "max_tokens": 9, "temperature": 0}).json()
    it = ask("d", sampling=Sampling(max_tokens=9))
    text, end = answer(running().submit(type(it)("d", "red tan", it.sampling)))
    assert one["choices"][0]["text"] == text
    assert one["usage"]["completion_tokens"] == end.completion_tokens
