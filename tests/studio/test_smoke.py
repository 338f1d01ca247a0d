"""The page in a browser, in less than a minute: rows in, a report, an answer."""

from __future__ import annotations

from tests.studio.conftest import TEN, Open, Server, answered, jsonl, reported, teach


def test_rows_become_an_adapter_that_answers(server: Server, opened: Open) -> None:
    page = opened(server)
    teach(page, jsonl(TEN), "hues")
    reported(page, "hues")
    assert page.locator("#report tbody tr").count() == 4
    page.click("#report-ask")
    page.fill("#prompt", "red please")
    page.keyboard.press("Control+Enter")
    answered(page)
    assert "token" in page.get_by_label("Answer of hues", exact=True).locator(".foot").inner_text()
