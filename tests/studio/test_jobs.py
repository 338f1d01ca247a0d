"""Jobs as the page tells of them: any tab's, again after a reload, one stream of events at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.studio.conftest import LONG, TEN, Open, Server, jsonl, reported, teach

pytestmark = pytest.mark.slow
EVENTS = "**/v1/fine_tuning/jobs/*/events?stream=true"
REPORT = {
    **{"scores": {}, "ways": {}, "verdict": "adapter", "advice": "Use the adapter: it is right.", "start": "none"},
    **{"folds": 3, "examples": 2, "seconds": 1, "steps": 2, "prefix": 0},
}


def job(name: str, created: int = 1000, finished: int | None = None) -> dict[str, Any]:
    status = "running" if finished is None else "succeeded"
    facts = {"id": f"ftjob-{name}", "created_at": created, "finished_at": finished, "status": status, "error": None}
    return facts | {"user_provided_suffix": name, "fine_tuned_model": name if finished else None}


def stream(*told: tuple[int, str, dict[str, Any]], end: dict[str, Any] | None = None) -> str:
    """Events (created, message, data), and `end`."""
    blocks = [
        f"id: ftevent-{i}\ndata: {json.dumps({'created_at': at, 'level': 'info', 'message': said, 'data': data})}\n\n"
        for i, (at, said, data) in enumerate(told, 1)
    ]
    return "".join(blocks) + (f"event: end\ndata: {json.dumps(end)}\n\n" if end else "")


def served(page: Any, jobs: list[dict[str, Any]], events: Callable[[Any], None]) -> None:
    """These jobs in the place of the server's, and what their streams of events are answered with."""
    page.route("**/v1/fine_tuning/jobs?limit=*", lambda it: it.fulfill(json={"data": jobs}))
    page.route(EVENTS, events)
    page.reload()


def test_a_report_is_there_after_a_reload_and_in_every_tab(server: Server, opened: Open) -> None:
    page = opened(server)
    for name in ("first", "second"):
        teach(page, jsonl(TEN[:3]), name)
        reported(page, name)
    page.reload()
    reported(page, "second")
    assert page.evaluate("scrollY") == 0
    assert page.locator("#report .pairs > li").count() > 0
    page.get_by_role("button", name="Look at first, taught").click()
    reported(page, "first")
    assert page.evaluate("document.activeElement.id") == "report-title"
    assert "all of it" in page.locator("#report").inner_text()
    other = opened(server)
    other.wait_for_selector("#jobs:not([hidden])")
    assert other.locator("#report").is_hidden()
    other.get_by_role("button", name="Look at second, taught").press("Enter")
    reported(other, "second")


def test_a_job_at_work_is_seen_in_another_tab_too(server: Server, opened: Open) -> None:
    page, other = opened(server), opened(server)
    other.wait_for_selector("#teach:not([hidden])")
    teach(page, jsonl(LONG), "both")
    page.wait_for_selector("#job-phases li")
    other.reload()
    other.wait_for_selector("#job:not([hidden]) #job-phases li")
    other.click("#job-cancel")
    for tab in (page, other):
        tab.wait_for_selector("#job-title:has-text('Cancelled')")
        tab.get_by_role("button", name="Look at both, cancelled").wait_for()


def test_a_job_that_another_takes_the_place_of_is_let_go(server: Server, opened: Open) -> None:
    page, held, left = opened(server), [], []
    page.on("requestfailed", lambda it: left.append(it.url) if "stream=true" in it.url else None)
    names = [f"j{i}" for i in range(8)]
    served(page, [job(name) for name in names], lambda it: held.append(it))
    for name in names[:-1]:
        page.get_by_role("button", name=f"Look at {name}, at work").click()
        page.wait_for_selector(f"#job-title:has-text('Teaching {name}')")
        assert page.evaluate("document.activeElement.id") == "job-title"
    page.wait_for_timeout(300)
    assert len(held) == len(left) + 1 == len(names)


def test_the_time_of_a_job_is_counted_from_where_its_turn_came(server: Server, opened: Open) -> None:
    page = opened(server)
    told = stream((1200, "3 examples are read.", {}), (1260, "done", REPORT), end=job("late", 1000, 1260))
    page.evaluate("sessionStorage.setItem('headstart-job', 'ftjob-late')")
    served(page, [job("late", 1000, 1260)], lambda it: it.fulfill(body=told, content_type="text/event-stream"))
    reported(page, "late")
    assert "all of it 60\u00a0s" in page.locator("#report").inner_text()


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_without_time_is_asked_again(server: Server, opened: Open, status: int) -> None:
    page, told = opened(server, quiet=False), stream((1, "read", {}), (2, "done", REPORT), end=job("busy", 1, 2))
    answers = [{"status": status, "json": {"error": {"message": "busy"}}}, {"body": told, "content_type": "text/event-stream"}]
    served(page, [job("busy")], lambda it: it.fulfill(**answers.pop(0)))
    page.wait_for_selector("#job-now:has-text('asked again')")
    reported(page, "busy")


def test_a_report_does_not_take_the_focus_from_who_types(server: Server, opened: Open) -> None:
    page, held = opened(server), []
    told = stream((1, "read", {}), (2, "done", REPORT), end=job("soon", 1, 2))
    served(page, [job("soon")], lambda it: held.append(it))
    page.wait_for_selector("#job:not([hidden])")
    page.focus("#rows")
    held[0].fulfill(body=told, content_type="text/event-stream")
    reported(page, "soon")
    assert page.evaluate("document.activeElement.id") == "rows"
    page.wait_for_selector("#live:has-text('soon is taught')", state="attached")


def test_what_a_job_waited_for_is_listed_as_ended_when_its_turn_comes(server: Server, opened: Open) -> None:
    page, held, jobs = opened(server), [], [job("second"), job("first")]
    served(page, jobs, lambda it: held.append(it))
    page.get_by_role("button", name="Look at second, at work").click()
    page.wait_for_selector("#job-title:has-text('Teaching second')")
    jobs[1] = job("first", 1000, 1100)
    held[-1].fulfill(body=stream((1200, "read", {})), content_type="text/event-stream")
    page.get_by_role("button", name="Look at first, taught").wait_for()


def test_a_job_of_another_server_is_forgotten(server: Server, opened: Open) -> None:
    page = opened(server, quiet=False)
    page.evaluate("sessionStorage.setItem('headstart-job', 'ftjob-none')")
    with page.expect_response("**/v1/fine_tuning/jobs/ftjob-none") as asked:
        page.reload()
    assert asked.value.status == httpx.codes.NOT_FOUND
    page.wait_for_timeout(200)
    assert page.evaluate("sessionStorage.getItem('headstart-job')") is None
    assert page.locator("#teach-wrong").inner_text() == ""
