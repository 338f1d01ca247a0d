"""Names and words of other kinds than ours: as long as a name may be, and from right to left."""

from __future__ import annotations

from typing import Any

import pytest

from tests.studio.conftest import Open, Server
from tests.studio.test_jobs import REPORT, job, served, stream

pytestmark = pytest.mark.slow
LONG_NAME = "w" * 64
CARD = {
    **{"id": LONG_NAME, "created": 1, "base": LONG_NAME, "bytes": 1, "loaded": True, "loaded_bytes": 1, "problem": None},
    **{"examples": 2, "start": LONG_NAME, "scores": None, "verdict": "adapter", "prefix": 2},
}


def fits(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_the_longest_name_is_no_wider_than_the_narrowest_window(server: Server, opened: Open) -> None:
    page = opened(server, wide=320)
    page.route("**/v1/models", lambda it: it.fulfill(json={"data": [{"id": LONG_NAME, "parent": None}]}))
    page.route("**/v1/adapters", lambda it: it.fulfill(json={"data": [CARD]}))
    page.route("**/v1/removed", lambda it: it.fulfill(json={"data": [{"id": LONG_NAME, "removed": 1}]}))
    told = [(1, "ready", {"ready": LONG_NAME}), (2, "step", {"what": "adapting", "step": 1, "steps": 2, "figures": {"loss": 1.0}})]
    served(page, [job(LONG_NAME)], lambda it: it.fulfill(body=stream(*told), content_type="text/event-stream"))
    page.wait_for_selector("#job-ask")
    page.wait_for_selector("#jobs:not([hidden])")
    assert fits(page)
    page.unroute("**/v1/fine_tuning/jobs?limit=*")
    page.unroute("**/v1/fine_tuning/jobs/*/events?stream=true")
    last = stream((3, "done", REPORT), end=job(LONG_NAME, 1, 3))
    page.evaluate(f"sessionStorage.setItem('headstart-job', 'ftjob-{LONG_NAME}')")
    served(page, [job(LONG_NAME, 1, 3)], lambda it: it.fulfill(body=last, content_type="text/event-stream"))
    page.wait_for_selector("#report-title")
    assert fits(page)
    page.goto(f"{server.address}#/shelf")
    page.wait_for_selector("#undo:not([hidden])")
    page.get_by_role("button", name="Rename").click()
    assert fits(page)
    page.goto(f"{server.address}#/ask/{LONG_NAME}")
    page.wait_for_selector("#who input:checked")
    assert fits(page)


def test_rows_from_right_to_left_are_laid_out_so(server: Server, opened: Open) -> None:
    page = opened(server)
    page.fill("#rows", "שלום!\tabc!\nתודה!\tdef!\n")
    page.wait_for_selector("#rows-table td")
    # An exclamation mark stands at its sentence's end: on the left of the first, on the right of the second.
    ends = """it => { const at = (i) => { const range = new Range(); range.setStart(it.firstChild, i); range.setEnd(it.firstChild, i + 1);
      return range.getBoundingClientRect().left; }; return at(it.firstChild.length - 1) > at(0); }"""
    assert [it.evaluate(ends) for it in page.locator("#rows-table td").all()[:2]] == [False, True]
