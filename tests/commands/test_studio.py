"""`headstart studio`: the page of the server that runs, or of one that is started for it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from headstart import locks
from headstart.commands import serve, studio
from headstart.serve import address
from tests.conftest import Told

Run = Callable[..., Told]


class Page(BaseHTTPRequestHandler):
    """Answers as the studio's server does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<title>headstart studio</title>")

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def there(home: Path) -> str:
    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"  # type: ignore[misc]
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_page_of_a_server_that_runs_is_opened(headstart: Run, there: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(studio.webbrowser, "open", lambda page: opened.append(page) or True)
    with address.noted(there):
        assert headstart("studio").out == f"{there}/\n"
        assert opened == [f"{there}/"]
        assert headstart("studio", "--no-open").out == f"{there}/\n"
        assert len(opened) == 1
        monkeypatch.setattr(studio.webbrowser, "open", lambda _: False)
        assert "open that address" in headstart("studio").err


def test_where_none_runs_one_is_served_on_a_free_port_and_opened(headstart: Run, there: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, served = threading.Event(), []
    monkeypatch.setattr(studio.webbrowser, "open", lambda _: opened.set() or True)

    def run(
        host: str, port: int, key: str | None, base: str | None, precision: str | None, how: serve.Answering, up: Callable[[str], None]
    ) -> None:
        served.append((host, port))
        up(there)
        assert opened.wait(20)

    monkeypatch.setattr(serve, "run", run)
    with address.noted("http://127.0.0.1:9"):
        assert headstart("studio").code == 0
    assert served == [("127.0.0.1", 0)]


def test_an_address_is_let_go_by_its_own_server_alone(home: Path) -> None:
    assert address.running() is None
    with address.noted("http://127.0.0.1:9"):
        with address.noted("http://127.0.0.1:8"):
            assert address.file().read_text() == "http://127.0.0.1:8\n"
        assert not address.file().exists()
        address.file().write_text("http://127.0.0.1:7\n")
    assert address.file().is_file()
    with address.noted("http://127.0.0.1:9"):
        address.file().write_bytes(b"\xff not an address")
        assert address.running() is None


def test_whoever_listens_where_a_killed_server_did_is_not_taken_for_it(there: str) -> None:
    note = "import os, sys; from headstart.serve import address; it = address.noted(sys.argv[1]); it.__enter__(); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", note, there], check=False).returncode == 9
    assert address.file().read_text() == f"{there}\n"
    assert address.running() is None
    with address.noted(there):
        assert address.running() == there


def test_on_a_disk_that_knows_no_locks_a_note_is_trusted(there: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "locked", lambda _: None)
    with address.noted(there):
        assert address.running() == there
