"""What tests of sources share: a small web server, image files, and Omniglot where a copy is at hand."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@dataclass
class Site:
    """Files by path, served with ranges from this machine; `cut` breaks each answer off after so many bytes."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: int | None = None
    ranges: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    """(path, range) of each request"""


@pytest.fixture
def site() -> Iterator[Site]:
    """A server that ends with the test."""
    made = Site()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append((self.path, self.headers.get("Range", "")))
            if self.path not in made.files:
                self.send_error(404)
                return
            whole = made.files[self.path]
            begin = int(self.headers.get("Range", "bytes=0-")[6:-1]) if made.ranges else 0
            if begin and begin >= len(whole):
                self.send_error(416)
                return
            self.send_response(206 if made.ranges else 200)
            self.send_header("Content-Length", str(len(whole) - begin))
            self.end_headers()
            self.wfile.write(whole[begin:][: made.cut])

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data sets beside the checkout, or where HEADSTART_SHARED says."""
    named = os.environ.get("HEADSTART_SHARED")
    folder = Path(named) if named else Path(__file__).resolve().parents[2].parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"there are no data sets at '{folder}' (HEADSTART_SHARED names another place)")
    return folder
