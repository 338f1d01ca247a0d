"""Rows on the Teach page: what is told of them, and what of them is taught."""

from __future__ import annotations

from pathlib import Path
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


def waited(page: Any) -> None:
    page.wait_for_selector("#teach-go:enabled")


def test_what_stands_there_is_what_is_taught(server: Server, opened: Open) -> None:
    page, sent = opened(server), []
    page.route("**/v1/files", lambda it: sent.append(it))
    page.fill("#rows", jsonl(TEN))
    waited(page)
    page.fill("#rows", "red\tRED\ntan\tTAN\n")
    assert page.locator("#teach-go").is_disabled()
    page.focus("#name")
    page.keyboard.press("Enter")
    waited(page)
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    # While a job is being asked for it is not asked for twice, and what is changed meanwhile is not sent.
    page.fill("#rows", jsonl(TEN))
    page.wait_for_selector("#rows-said:has-text('JSONL')")
    assert page.locator("#teach-go").is_disabled()
    page.keyboard.press("Enter")
    assert len(sent) == 1
    assert 'filename="my-task.tsv"' in sent[0].request.post_data
    assert "red\tRED" in sent[0].request.post_data


def test_nothing_is_taught_on_another_base_than_was_foretold(server: Server, opened: Open) -> None:
    page, sent = opened(server), []
    page.route("**/v1/files", lambda it: sent.append(it))
    page.fill("#rows", jsonl(TEN))
    waited(page)
    page.route("**/v1/models", lambda it: it.fulfill(json={"data": [{"id": "some/new", "parent": None}]}))
    page.click("#teach-go")
    page.wait_for_selector("#teach-wrong:has-text('Another base')")
    waited(page)
    assert page.locator("#where-text").inner_text() == "new"
    page.unroute("**/v1/models")
    page.evaluate("dispatchEvent(new Event('focus'))")
    page.wait_for_selector("#where-text:has-text('tiny')")
    assert sent == []


def test_a_file_that_is_no_text_is_told_and_not_taught(server: Server, opened: Open, tmp_path: Path) -> None:
    page = opened(server)
    page.fill("#rows", "kept\tKEPT")
    for content in ("prompt,completion\nCafé?,café\n".encode("latin-1"), "a\tb\n".encode("utf-16")):
        (tmp_path / "rows.csv").write_bytes(content)
        page.set_input_files("#file", tmp_path / "rows.csv")
        page.wait_for_selector("#rows-said:has-text(\"'rows.csv' is not UTF-8 text; save it as UTF-8.\")")
        assert page.input_value("#rows") == "kept\tKEPT"
        page.fill("#rows", "kept\tKEPT")
        page.wait_for_selector("#rows-said:has-text('TSV')")
    (tmp_path / "rows.csv").write_bytes("\ufeffprompt,completion\nCafé?,café\n".encode())
    page.set_input_files("#file", tmp_path / "rows.csv")
    page.wait_for_selector("#rows-table td:has-text('Café?')")


def test_a_folder_that_is_dropped_is_told(server: Server, opened: Open) -> None:
    page = opened(server)
    page.evaluate(
        """() => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([], "rows"));
            File.prototype.arrayBuffer = () => Promise.reject(new DOMException("a folder", "NotFoundError"));
            document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer }));
        }"""
    )
    page.wait_for_selector("#rows-said:has-text(\"'rows' cannot be read: a file is wanted, and no folder.\")")


def test_rows_that_others_took_the_place_of_are_had_back(server: Server, opened: Open) -> None:
    page = opened(server)
    page.click("#sample")
    assert page.locator("#back").is_hidden()
    page.fill("#rows", "mine\tMINE")
    page.click("#sample")
    assert "crew" in page.input_value("#rows")
    page.click("#back")
    assert page.input_value("#rows") == "mine\tMINE"
    page.wait_for_selector("#rows-said:has-text('TSV')")
    page.click("#back")
    assert "crew" in page.input_value("#rows")


def test_words_that_are_dragged_take_the_place_of_no_rows(server: Server, opened: Open) -> None:
    page = opened(server)
    page.fill("#rows", "one two\tTHREE")
    left = page.evaluate(
        """() => ["dragover", "drop"].map((kind) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.setData("text/plain", "one");
            return document.getElementById("rows").dispatchEvent(
              new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
        })"""
    )
    # The browser's own way with them is not stood in the way of.
    assert left == [True, True]
    assert page.input_value("#rows") == "one two\tTHREE"


def test_that_the_server_does_not_answer_is_said_no_longer_than_it_is_true(server: Server, opened: Open) -> None:
    page = opened(server, quiet=False)
    page.route("**/v1/starts", lambda it: it.abort())
    page.reload()
    page.wait_for_selector("#teach-wrong:has-text('does not answer')")
    page.unroute("**/v1/starts")
    page.wait_for_selector("#where-text:has-text('tiny')")
    page.wait_for_selector("#teach-wrong:empty", state="attached")
