"""Where one is on the Shelf after something was done, and what keys are taken."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.studio.conftest import TEN, Open, Server, jsonl, reported, teach

pytestmark = pytest.mark.slow


def here(page: Any) -> str:
    """What has the focus."""
    it = "document.activeElement"
    return str(page.evaluate(f"{it}.getAttribute('aria-label') || {it}.id"))


@pytest.fixture
def page(server: Server, opened: Open) -> Any:
    """The shelf, with an adapter `moss` on it."""
    page = opened(server, quiet=False)
    if "moss" not in [it["id"] for it in httpx.get(f"{server.address}v1/adapters").json()["data"]]:
        page.wait_for_selector("#teach:not([hidden])")
        teach(page, jsonl(TEN[:2]), "moss")
        reported(page, "moss")
    page.goto(f"{server.address}#/shelf")
    page.wait_for_selector("#card-moss")
    return page


def test_the_focus_goes_on_where_something_was_done(page: Any) -> None:
    said = []
    for press, then in (("Load moss", "Unload moss"), ("Unload moss", "Load moss")):
        if page.get_by_role("button", name=press, exact=True).count():
            page.get_by_role("button", name=press, exact=True).press("Enter")
            page.get_by_role("button", name=then, exact=True).wait_for()
            page.wait_for_timeout(200)
            said.append((here(page), then))
    assert said
    assert all(now == then for now, then in said)
    page.get_by_role("button", name="Rename moss", exact=True).press("Enter")
    page.get_by_label("New name").press("Enter")
    assert here(page) == "Rename moss"
    page.keyboard.press("Enter")
    page.get_by_label("New name").fill("fern")
    page.keyboard.press("Enter")
    page.wait_for_selector("#card-fern")
    page.wait_for_timeout(200)
    assert here(page) == "Rename fern"
    page.get_by_role("button", name="Remove fern").press("Enter")
    page.wait_for_selector("#undo:not([hidden])")
    page.wait_for_timeout(200)
    assert here(page) == "undo-go"
    page.keyboard.press("Enter")
    page.wait_for_selector("#card-fern")
    page.wait_for_timeout(200)
    assert here(page) == "card-fern"
    page.get_by_role("button", name="Remove fern").press("Enter")
    page.get_by_role("button", name="Delete for good").press("Enter")
    page.wait_for_selector("#undo", state="hidden")
    page.wait_for_timeout(200)
    assert here(page) == "shelf-title"


@pytest.mark.parametrize("press", ["Undo", "Delete for good"])
def test_what_another_tab_has_changed_is_neither_had_back_nor_deleted(page: Any, press: str) -> None:
    page.route("**/v1/removed", lambda it: it.fulfill(json={"data": [{"id": "other", "object": "adapter", "removed": 1}]}))
    page.reload()
    page.wait_for_selector("#undo:has-text('other')")
    page.unroute("**/v1/removed")
    page.get_by_role("button", name=press).click()
    page.wait_for_selector("#shelf-wrong:has-text(\"'other' is not what was removed last\")")
    page.wait_for_selector("#undo", state="hidden")


def test_what_fails_is_told_in_its_card_and_what_was_typed_stays(page: Any) -> None:
    card = page.locator("#adapters > li", has=page.locator("#card-moss"))
    card.get_by_role("button", name="Rename").click()
    card.get_by_label("New name").fill("no/such name")
    card.get_by_label("New name").press("Enter")
    card.get_by_role("alert").filter(has_text="no/such name").wait_for()
    assert card.get_by_label("New name").input_value() == "no/such name"
    assert page.locator("#shelf-wrong").inner_text() == ""
    card.get_by_label("New name").fill("moss-2")
    card.get_by_label("New name").press("Enter")
    page.wait_for_selector("#card-moss-2")


def test_a_key_that_no_header_can_hold_is_refused_with_the_reason(locked: Server, opened: Open) -> None:
    page = opened(locked, quiet=False)
    page.wait_for_selector("#key[open]")
    page.fill("#key-text", "“secret”")
    page.keyboard.press("Enter")
    page.wait_for_selector("#key-wrong:has-text('curly quote')")
    page.fill("#key-text", "secret")
    page.keyboard.press("Enter")
    page.wait_for_selector("#where-text:has-text('tiny')")
    # Even one that was kept is asked for anew.
    page.evaluate("sessionStorage.setItem('headstart-key', '“secret”')")
    page.reload()
    page.wait_for_selector("#key[open]")


def test_what_is_being_typed_stays_when_something_else_ends(server: Server, page: Any) -> None:
    held: list[Any] = []
    [moss] = [it for it in httpx.get(f"{server.address}v1/adapters").json()["data"] if it["id"] == "moss"]
    page.route("**/v1/*load_lora_adapter", lambda it: held.append(it))
    page.route("**/v1/adapters", lambda it: it.fulfill(json={"data": [moss, moss | {"id": "twin", "loaded": bool(held)}]}))
    page.reload()
    page.get_by_role("button", name="Load twin", exact=True).click()
    page.get_by_role("button", name="Rename moss", exact=True).click()
    page.get_by_label("New name").fill("half a na")
    held[0].fulfill(body="ok")
    page.get_by_role("button", name="Unload twin", exact=True).wait_for()
    page.keyboard.type("me")
    assert page.get_by_label("New name").input_value() == "half a name"
    assert "made" in page.locator("#adapters > li", has=page.locator("#card-moss")).inner_text()
