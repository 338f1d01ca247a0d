"""Rows on the Teach page: what is told of them, and what of them is taught."""

from __future__ import annotations

from typing import Any

import pytest

from tests.studio.conftest import TEN, Open, Server, jsonl

pytestmark = pytest.mark.slow


def test_a_base_that_the_planner_does_not_know_is_taught_all_the_same(server: Server, opened: Open) -> None:
    page = opened(server)

    def unplanned(route: Any) -> None:
        told = route.fetch().json()
        route.fulfill(json=told | {"cost": None, "unplanned": "'odd' is of the family 'odd', which cannot be forecast."})

    page.route("**/v1/fine_tuning/forecast", unplanned)
    page.fill("#rows", jsonl(TEN))
    page.wait_for_selector("#forecast:has-text('family')")
    assert "not told beforehand" in page.locator("#forecast").inner_text()
    assert page.locator("#teach-go").is_enabled()
