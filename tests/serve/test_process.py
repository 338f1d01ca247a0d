"""The server as a process: it drains when it is told to stop, and a kill in the middle of a job loses nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from headstart.commands import serve
from headstart.errors import SettingsError
from headstart.lm.load import Base
from headstart.serve.ledger import Ledger, Wish
from tests.conftest import Told

Start = Callable[..., tuple["subprocess.Popen[str]", httpx.Client]]
ROWS = "\n".join(json.dumps({"prompt": f"{word} please", "completion": word.upper()}) for word in ("red", "tan", "blue"))


@pytest.fixture
def start(base_folder: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts a server over one home folder, and gives the process and a client."""
    started: list[subprocess.Popen[str]] = []
    clients: list[httpx.Client] = []

    def begin(*more: str) -> tuple[subprocess.Popen[str], httpx.Client]:
        words = [sys.executable, "-m", "headstart", "serve", "--port", "0", "--base", str(base_folder), *more]
        env = os.environ | {"HEADSTART_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
        process = subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"http://\S+:\d+/v1", line):
                # Nobody else reads on, and a full pipe would hold the server up.
                threading.Thread(target=process.stderr.read, daemon=True).start()
                clients.append(httpx.Client(base_url=found[0], timeout=60))
                return process, clients[-1]
        raise AssertionError("the server ended before it served")

    yield begin
    for client in clients:
        client.close()
    for process in started:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def answered(http: httpx.Client) -> bool:
    """Whether it serves; httpx waits until it does."""
    for _ in range(100):
        try:
            return http.get("models").status_code == 200
        except httpx.TransportError:
            time.sleep(0.1)
    return False


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_line_that_the_server_prints_runs_as_it_is(start: Start) -> None:
    _, http = start()
    assert answered(http)
    name = http.get("models").json()["data"][0]["id"]
    body = json.dumps({"model": name, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3})
    line = ["curl", "-s", f"{http.base_url}chat/completions", "-H", "Content-Type: application/json", "-d", body]
    said = json.loads(subprocess.run(line, capture_output=True, text=True, check=True, timeout=60).stdout)
    assert said["usage"]["completion_tokens"] <= 3


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_go_lets_what_is_at_work_finish(how: signal.Signals, start: Start, tmp_path: Path) -> None:
    if how == signal.SIGHUP and signal.getsignal(how) is signal.SIG_IGN:
        pytest.skip("these tests run under nohup")
    process, http = start()
    assert answered(http)
    name = http.get("models").json()["data"][0]["id"]
    # By chance an answer of the tiny base may end early; by this seed it does not within the first tokens.
    asked = {"model": name, "prompt": "red", "max_tokens": 400, "temperature": 2.0, "seed": 1, "stream": True}
    with http.stream("POST", "completions", json=asked) as stream:
        lines = stream.iter_lines()
        next(lines)
        process.send_signal(how)
        said = [line for line in lines if line.startswith("data: ")]
    assert said[-1] == "data: [DONE]"
    assert json.loads(said[-2].removeprefix("data: "))["choices"][0]["finish_reason"] in ("stop", "length")
    assert process.wait(timeout=30) == 0
    assert not (tmp_path / "home" / "serve" / "address").exists(), "what was noted is put in order"


CTRL_C = """
import signal
from headstart.serve.engine import Running
# A shell's background jobs begin with Ctrl-C ignored, and what they start does too.
signal.signal(signal.SIGINT, signal.default_int_handler)
stop = Running.stop
def told(engine, seconds):
    stop(engine, seconds)
    print(f"the engine was given {seconds} s")
Running.stop = told
from headstart.cli import main
main()
"""


@pytest.mark.parametrize("often", [1, 2])
def test_ctrl_c_stops_and_does_not_say_that_nothing_was_kept(often: int, base_folder: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", CTRL_C, "serve", "--port", "0", "--base", str(base_folder)]
    env = os.environ | {"HEADSTART_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if re.search(r"http://\S+:\d+/v1", line):
                break
        while not (tmp_path / "home" / "serve" / "address").exists():
            time.sleep(0.05)
        time.sleep(0.5)
        for _ in range(often):
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        out, told = process.communicate(timeout=30)
    assert (process.returncode, told.splitlines()[-1]) == (130, "stopped.")
    assert out.splitlines()[-1] == "the engine was given 0 s", "also where it is told a second time, and does not wait"
    assert len(out.splitlines()) == 3 - often
    assert not (tmp_path / "home" / "serve" / "address").exists()


def test_a_kill_in_the_middle_of_a_job_loses_nothing(start: Start) -> None:
    process, http = start()
    assert answered(http)
    name = http.get("models").json()["data"][0]["id"]
    file = http.post("files", files={"file": ("rows.jsonl", ROWS)}, data={"purpose": "fine-tune"}).json()["id"]
    asked = {"model": name, "training_file": file, "suffix": "colours", "hyperparameters": {"n_epochs": 60}}
    job = http.post("fine_tuning/jobs", json=asked).json()["id"]
    while len(http.get(f"fine_tuning/jobs/{job}/events").json()["data"]) < 3:
        time.sleep(0.02)
    process.kill()
    process.wait()
    _, http = start()
    assert answered(http)
    deadline = time.monotonic() + 120
    while (now := http.get(f"fine_tuning/jobs/{job}").json())["status"] in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (now["status"], now["fine_tuned_model"]) == ("succeeded", "colours")
    said = http.post(
        "chat/completions", json={"model": "colours", "messages": [{"role": "user", "content": "red please"}], "max_tokens": 4}
    )
    assert said.status_code == 200


def reachable() -> bool:
    """Whether this machine has an IPv6 of its own."""
    try:
        with serve.bound("::1", 0):
            return True
    except (SettingsError, OSError):
        return False


@pytest.mark.skipif(not reachable(), reason="there is no IPv6")
def test_it_is_reached_over_ipv6_by_the_address_that_it_prints_and_notes(start: Start, tmp_path: Path) -> None:
    _, http = start("--host", "::1")
    assert http.base_url.host == "::1"
    assert answered(http)
    assert (tmp_path / "home" / "serve" / "address").read_text() == f"http://[::1]:{http.base_url.port}\n"


@pytest.mark.parametrize(
    ("host", "named"),
    [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("192.168.7.5", "192.168.7.5"), ("fe80::7", "[fe80::7]")],
)
def test_a_server_is_noted_where_this_machine_reaches_it(host: str, named: str) -> None:
    assert serve.from_here(host) == named


def test_a_port_that_is_taken_is_named_and_costs_no_job(base_folder: Path, tiny: Base, tmp_path: Path) -> None:
    place = tmp_path / "home" / "serve" / f"{tiny.content_hash[:16]}.sqlite3"
    ledger = Ledger(place)
    jobs = [ledger.ask(ledger.keep("rows.jsonl", "fine-tune", ROWS.encode()).id, name, Wish(passes=2)) for name in ("one", "two")]
    ledger.close()
    with serve.bound("127.0.0.1", 0) as taken:
        taken.listen()
        port = str(taken.getsockname()[1])
        line = [sys.executable, "-m", "headstart", "serve", "--port", port, "--base", str(base_folder)]
        env = os.environ | {"HEADSTART_HOME": str(tmp_path / "home")}
        ended = subprocess.run(line, env=env, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, f"at 127.0.0.1:{port} (Address already in use): give another --port" in ended.stderr) == (1, True), (
        ended.stderr
    )
    ledger = Ledger(place)
    assert [it.status for job in jobs if (it := ledger.job(job.id))] == ["queued", "queued"]
    ledger.close()


def test_of_two_servers_that_begin_at_once_the_later_is_told() -> None:
    with serve.bound("127.0.0.1", 0) as first, serve.bound("127.0.0.1", port := first.getsockname()[1]) as second:
        first.listen()
        with pytest.raises(SettingsError, match=f"at there:{port} "), serve.refusing("there", port):
            second.listen()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--engine", "vllm"), "--url says where"),
        (("--url", "http://127.0.0.1:9"), "--url says where"),
        (("--engine", "vllm", "--url", "http://127.0.0.1:9"), "does not answer"),
        (("--engine", "llama-server", "--fast"), "leave them"),
        (("--engine", "llama-server"), "is none: teach the adapter on the .gguf"),
    ],
)
def test_an_engine_that_cannot_be_had_is_refused(words: tuple[str, ...], told: str, base_folder: Path, tmp_path: Path) -> None:
    env = os.environ | {"HEADSTART_HOME": str(tmp_path / "home"), "COLUMNS": "200", "LLAMA_SERVER": sys.executable}
    line = [sys.executable, "-m", "headstart", "serve", "--port", "0", "--base", str(base_folder), *words]
    ended = subprocess.run(line, env=env, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, told in ended.stderr) == (1, True), ended.stderr


@pytest.mark.parametrize("how", [serve.Answering("vllm"), serve.Answering(url="there"), serve.Answering("llama-server")])
def test_settings_that_need_no_base_are_looked_at_before_one_is_loaded(how: serve.Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_SERVER", "/nowhere/llama-server")
    monkeypatch.setattr(serve.signal, "signal", lambda *_: None)
    monkeypatch.setattr(serve.heap, "one", lambda: None)
    monkeypatch.setattr(serve, "open_base", lambda *_: pytest.fail("a base was loaded for nothing"))
    with pytest.raises(SettingsError):
        serve.run("127.0.0.1", 0, None, None, None, how)


@pytest.mark.parametrize("command", ["serve", "studio"])
def test_a_key_that_is_empty_is_no_door_left_open(headstart: Callable[..., Told], command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "open_base", lambda *_: pytest.fail("it would have been served without a key"))
    for environment, option in (("", ["--api-key", ""]), ("of the environment", ["--api-key", ""]), ("", [])):
        monkeypatch.setenv(serve.KEY, environment)
        told = headstart(command, "--port", 0, *option)
        assert (told.code, told.out) == (1, "")
        assert "The API key is empty" in told.err


def test_what_is_wrong_with_several_adapters_is_told_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    wrong = {name: f"'{name}' was made for another." for name in ("a", "b")} | {"c": "It is broken."}
    serve.tell("http://there", "base", SimpleNamespace(served=list, problems=lambda: wrong), None)  # type: ignore[arg-type]
    told = capsys.readouterr().err.splitlines()
    assert [it for it in told if "passed over" in it] == ["passed over: a, b: was made for another.", "passed over: c: It is broken."]
