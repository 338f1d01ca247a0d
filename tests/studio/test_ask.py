"""Who is asked on the Ask page, and with which examples in front."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.studio.conftest import LONG, TEN, Open, Server, answered, jsonl, teach

pytestmark = pytest.mark.slow
DRAFT = "the rows on the Teach page"


def shelved(page: Any, **kept: int) -> None:
    """These adapters in the place of the shelf's, each with so many examples kept in front."""
    page.route("**/v1/adapters", lambda it: it.fulfill(json={"data": [{"id": name, "prefix": many} for name, many in kept.items()]}))


def ticked(page: Any) -> list[str]:
    page.wait_for_selector("#who input:checked")
    values = page.evaluate("[...document.querySelectorAll('#who input:checked')].map(it => it.value)")
    return [*values, *([page.input_value("#from")] if "prompt:" in values else [])]


def test_an_adapter_is_not_put_beside_the_examples_of_another(server: Server, opened: Open) -> None:
    page = opened(server)
    shelved(page, alone=0, kept=10)
    page.goto(f"{server.address}#/ask/alone")
    assert ticked(page) == ["base:", "alone"]
    page.goto(f"{server.address}#/ask/kept")
    page.wait_for_selector("#who input[value=kept]:checked")
    assert ticked(page) == ["base:", "prompt:", "kept", "kept"]
    page.goto(f"{server.address}#/teach")
    page.fill("#rows", jsonl(TEN))
    page.goto(f"{server.address}#/ask/alone")
    page.wait_for_selector("#who input[value=alone]:checked")
    assert ticked(page) == ["base:", "prompt:", "alone", DRAFT]


def test_rows_that_are_gone_are_not_offered_and_bad_ones_are_told(server: Server, opened: Open) -> None:
    page = opened(server)
    shelved(page)
    page.fill("#rows", jsonl(TEN))
    page.wait_for_selector("#teach-go:enabled")
    page.goto(f"{server.address}#/ask")
    assert ticked(page) == ["base:", "prompt:", DRAFT]
    page.goto(f"{server.address}#/teach")
    page.fill("#rows", "not two\tcolumns\tbut three")
    page.goto(f"{server.address}#/ask")
    page.fill("#prompt", "red please")
    page.check("#who input[value='prompt:']")
    page.click("#ask-go")
    page.wait_for_selector("#ask-wrong:has-text('cannot be used')")
    page.goto(f"{server.address}#/teach")
    page.fill("#rows", "")
    page.goto(f"{server.address}#/ask")
    page.wait_for_selector("#who:has-text('no adapter here keeps any')")


def test_rows_are_offered_after_a_reload_and_asked_with_all_their_turns(server: Server, opened: Open) -> None:
    page, sent = opened(server), []
    shelved(page)
    said = [("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    long = [{"role": role, "content": text} for role, text in said]
    short = [{"role": "user", "content": "e"}, {"role": "assistant", "content": "f"}]
    page.fill("#rows", "\n".join(json.dumps({"messages": it}) for it in (long, short)))
    page.wait_for_selector("#teach-go:enabled")
    page.goto(f"{server.address}#/ask")
    page.reload()
    assert ticked(page) == ["base:", "prompt:", DRAFT]

    def asked(route: Any) -> None:
        sent.append(json.loads(route.request.post_data)["messages"])
        route.fulfill(body="data: [DONE]\n\n", content_type="text/event-stream")

    page.route("**/v1/chat/completions", asked)
    page.fill("#prompt", "g")
    page.keyboard.press("Control+Enter")
    answered(page, 2)
    assert max(sent, key=len) == [*long, *short, {"role": "user", "content": "g"}]


def test_one_fewer_is_asked_at_once_while_a_job_is_watched(server: Server, opened: Open) -> None:
    page = opened(server)
    shelved(page, **dict.fromkeys("abcdef", 0))
    page.evaluate("sessionStorage.setItem('headstart-who', JSON.stringify([...'abcdef']))")
    page.goto(f"{server.address}#/ask")
    assert len(ticked(page)) == 5
    page.goto(f"{server.address}#/teach")
    teach(page, jsonl(LONG), "watched")
    page.wait_for_selector("#job-phases li")
    page.goto(f"{server.address}#/ask")
    page.wait_for_selector("#who-hint:has-text('4 at most are asked at once while a job is watched')")
    assert len(ticked(page)) == 4
    page.go_back()
    page.click("#job-cancel")
    page.wait_for_selector("#job-title:has-text('Cancelled')")


def test_a_long_answer_stays_whole_when_it_has_ended(server: Server, opened: Open) -> None:
    page, long = opened(server), "word and another " * 200
    shelved(page, kept=0)
    told = json.dumps({"choices": [{"delta": {"content": long}, "finish_reason": "stop"}]})
    stream = f"data: {told}\n\ndata: [DONE]\n\n"
    page.route("**/v1/chat/completions", lambda it: it.fulfill(body=stream, content_type="text/event-stream"))
    page.goto(f"{server.address}#/ask/kept")
    assert ticked(page) == ["base:", "kept"]
    page.fill("#prompt", "g")
    page.keyboard.press("Control+Enter")
    answered(page, 2)
    page.wait_for_selector("#ask-go:enabled")
    assert [it.text_content() for it in page.locator(".answer .text").all()] == [long, long]


def test_another_base_at_the_same_address_is_asked_by_its_name(server: Server, opened: Open) -> None:
    page, sent = opened(server), []
    shelved(page)

    def asked(route: Any) -> None:
        sent.append(json.loads(route.request.post_data)["model"])
        route.fulfill(body="data: [DONE]\n\n", content_type="text/event-stream")

    page.route("**/v1/chat/completions", asked)
    page.goto(f"{server.address}#/ask")
    assert ticked(page) == ["base:"]
    page.route("**/v1/models", lambda it: it.fulfill(json={"data": [{"id": "some/new", "parent": None}]}))
    page.fill("#prompt", "g")
    page.keyboard.press("Control+Enter")
    answered(page, 1)
    assert sent == ["some/new"]
    assert page.locator("#where-text").inner_text() == "new"


def test_an_adapter_that_is_not_there_is_told(server: Server, opened: Open) -> None:
    page = opened(server)
    shelved(page, kept=10)
    page.goto(f"{server.address}#/ask/gone")
    page.wait_for_selector("#ask-wrong:has-text(\"No adapter 'gone' can be asked\")")
    assert ticked(page) == ["base:", "prompt:", "kept", "kept"]


@pytest.mark.parametrize(("hash_", "view"), [("constructor", "teach"), ("shelf/100%", "shelf")])
def test_an_odd_address_shows_a_page(server: Server, opened: Open, hash_: str, view: str) -> None:
    opened(server, hash_).wait_for_selector(f"#{view}:not([hidden])")
