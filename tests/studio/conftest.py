"""A real Chromium over a real server process; skipped, with the reason, where there is none."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

TEN = [(f"{word} please", word.upper()) for word in ("red", "tan", "blue", "grey", "pink", "teal", "gold", "lime", "navy", "rose")]
LONG = [(f"say {number} in words of mine", f"number {number} it is and {number} it stays") for number in range(45)]
"""As many rows as keep a job of the tiny base at work for long enough to be stopped."""
Open = Callable[..., Any]


def jsonl(pairs: list[tuple[str, str]]) -> str:
    return "\n".join(json.dumps({"prompt": prompt, "completion": completion}) for prompt, completion in pairs)


@dataclass
class Server:
    """A process that can be killed and begun again at the same address, over the same home folder."""

    home: Path
    base: str | None = None
    key: str | None = None
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None)

    def __post_init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        words = [sys.executable, "-m", "headstart", "serve", "--port", str(self.port)]
        words += [] if self.base is None else ["--base", self.base]
        env = os.environ | {"HEADSTART_HOME": str(self.home)} | ({} if self.key is None else {"HEADSTART_API_KEY": self.key})
        self.process = subprocess.Popen(words, env=env, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.address}health", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                assert self.process.poll() is None, "the server ended"
                time.sleep(0.1)
        raise AssertionError("the server never answered")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def server(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """On the tiny base, over an empty home folder."""
    it = Server(tmp_path_factory.mktemp("home"), str(base_folder))
    it.start()
    yield it
    it.kill()


@pytest.fixture
def locked(base_folder: Path, tmp_path: Path) -> Iterator[Server]:
    """One that wants the key `secret`."""
    it = Server(tmp_path, str(base_folder), "secret")
    it.start()
    yield it
    it.kill()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The system's own, headless."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any) -> Iterator[Open]:
    """Opens pages; at the end none may have complained, or have asked anybody but its server."""
    contexts: list[Any] = []
    wrong: list[str] = []

    def open_page(server: Server, view: str = "teach", scheme: str = "light", wide: int = 1280, quiet: bool = True, **more: Any) -> Any:
        context = chromium.new_context(color_scheme=scheme, viewport={"width": wide, "height": 900}, accept_downloads=True, **more)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("response", lambda it: wrong.append(f"{it.status}: {it.url} {it.text()}") if quiet and it.status >= 400 else None)
        page.on("request", lambda it: None if it.url.startswith((server.address, "blob:")) else wrong.append(f"outside: {it.url}"))
        if quiet:
            page.on("console", lambda it: wrong.append(f"console: {it.text}") if it.type in ("error", "warning") else None)
        page.goto(f"{server.address}#/{view}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def teach(page: Any, rows: str, name: str, seconds: float = 60) -> None:
    """Fill the form in, wait for the forecast, press the button."""
    page.fill("#rows", rows)
    page.fill("#name", name)
    page.wait_for_selector("#teach-go:enabled", timeout=1000 * seconds)
    page.click("#teach-go")


def reported(page: Any, name: str, seconds: float = 120) -> None:
    """Wait for the report."""
    page.wait_for_selector(f"#report-title:has-text('Report on {name}')", timeout=1000 * seconds)


def answered(page: Any, columns: int = 3) -> None:
    """Wait until so many answers have ended. (The page's policy forbids the evaluation that `wait_for_function` does.)"""
    page.locator(".answer[aria-busy=false]").nth(columns - 1).wait_for()
