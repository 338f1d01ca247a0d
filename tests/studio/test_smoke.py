"""The page in a browser, in less than a minute: rows in, a report, an answer."""

from __future__ import annotations

from typing import Any

from tests.studio.conftest import TEN, Open, Server, answered, jsonl, reported, teach


def test_rows_become_an_adapter_that_answers(server: Server, opened: Open) -> None:
    page = opened(server)
    teach(page, jsonl(TEN), "hues")
    reported(page, "hues")
    assert page.locator("#report tbody tr").count() == 4
    held: list[Any] = []
    page.route("**/v1/adapters", lambda it: held.append(it))
    with page.expect_request("**/v1/adapters"):
        page.click("#report-ask")
    page.fill("#prompt", "red please")
    page.keyboard.press("Control+Enter")
    # Who is hasty is answered too: the question waits until it is known who can be asked.
    assert held
    for late in held:
        late.continue_()
    answered(page)
    assert "token" in page.get_by_label("Answer of hues", exact=True).locator(".foot").inner_text()
