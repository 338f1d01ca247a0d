"""Everything that the page does, as people do it: by mouse, by keyboard, by eye and by ear."""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.studio.conftest import LONG, TEN, Open, Server, answered, jsonl, reported, teach

pytestmark = pytest.mark.slow
VIEWS = ("teach", "ask", "shelf", "machine")
HOSTILE = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


@pytest.fixture(scope="module")
def hues(server: Server) -> str:
    """An adapter that is there already."""
    with httpx.Client(base_url=f"{server.address}v1/", timeout=60) as http:
        file = http.post("files", files={"file": ("rows.jsonl", jsonl(TEN))}, data={"purpose": "fine-tune"}).json()["id"]
        base = http.get("models").json()["data"][0]["id"]
        job = http.post("fine_tuning/jobs", json={"model": base, "training_file": file, "suffix": "hues"}).json()["id"]
        while (now := http.get(f"fine_tuning/jobs/{job}").json()["status"]) in ("queued", "running"):
            time.sleep(0.1)
        assert now == "succeeded"
    return "hues"


def test_taught_asked_exported_removed_and_had_back(server: Server, opened: Open) -> None:
    page = opened(server)
    page.check("#scratch")
    teach(page, jsonl(TEN), "journey")
    page.wait_for_selector("#job:not([hidden]) #job-phases li")
    reported(page, "journey")
    assert page.locator("#report .verdict").inner_text()
    assert page.locator("#report .pairs > li").count() > 0
    page.click("label[for=shown-all]")
    assert page.locator("#report .pairs > li").count() == 10
    page.click("#report-ask")
    page.wait_for_selector("#who input[value=journey]:checked")
    page.fill("#prompt", "red please")
    page.click("#ask-go")
    answered(page)
    assert "tokens a second" in page.locator(".answer .foot").first.inner_text()
    page.click("nav a[href='#/shelf']")
    card = page.locator("#adapters > li", has_text="journey")
    card.get_by_role("button", name="Download").click()
    for form, inside in (("PEFT", "adapter_config.json"), ("GGUF", "adapter.gguf")):
        with page.expect_download() as found:
            card.get_by_role("button", name=form).click()
        names = zipfile.ZipFile(io.BytesIO(Path(found.value.path()).read_bytes())).namelist()
        assert f"journey-{form.lower()}/{inside}" in names
    card.get_by_role("button", name="Rename").click()
    card.get_by_label("New name").fill("voyage")
    card.get_by_label("New name").press("Enter")
    page.wait_for_selector("#card-voyage")
    page.get_by_role("button", name="Remove voyage").click()
    page.wait_for_selector("#undo:not([hidden])")
    assert page.locator("#card-voyage").count() == 0
    assert page.evaluate("document.activeElement.id") == "undo-go"
    page.keyboard.press("Enter")
    page.wait_for_selector("#card-voyage")
    assert page.locator("#undo").is_hidden()


def test_bad_rows_are_shown_where_they_are(server: Server, opened: Open, tmp_path: Path) -> None:
    page = opened(server)
    bad = tmp_path / "rows.jsonl"
    bad.write_text(jsonl(TEN[:2]) + '\n{"prompt": 1, "completion": "x"}\nnonsense\n' + jsonl(TEN[2:4]), encoding="utf-8")
    page.set_input_files("#file", bad)
    page.wait_for_selector("#rows-table tr.bad")
    assert page.locator("#rows-table tr.bad").count() == 2
    assert '"prompt" is a number; text is wanted' in page.locator("#rows-table tr.bad").first.inner_text()
    assert page.locator("#teach-go").is_disabled()
    assert "2 rows of 6 cannot be used" in page.locator("#rows-said").inner_text()
    page.get_by_role("button", name="Go to line 4").click()
    assert (
        page.evaluate("(({value, selectionStart, selectionEnd}) => value.slice(selectionStart, selectionEnd))(document.activeElement)")
        == "nonsense"
    )
    page.fill("#rows", "red\tRED\ntan\tTAN\n")
    page.wait_for_selector("#teach-go:enabled")
    assert "2 examples read as TSV" in page.locator("#rows-said").inner_text()


def test_a_job_is_cancelled(server: Server, opened: Open) -> None:
    page = opened(server)
    teach(page, jsonl(LONG), "never")
    page.wait_for_selector("#job-phases li")
    page.click("#job-cancel")
    page.wait_for_selector("#job-title:has-text('Cancelled')")
    names = [it["id"] for it in httpx.get(f"{server.address}v1/adapters").json()["data"]]
    assert "never" not in names


def test_what_is_taught_is_asked_while_it_is_checked_and_stays_when_that_is_cancelled(server: Server, opened: Open) -> None:
    # Twenty examples in a prompt are too many for this base, and that column is to say so.
    page = opened(server, quiet=False)
    teach(page, jsonl(LONG[:20]), "early")
    page.click("#job-ask", timeout=120_000)
    page.wait_for_selector("#who input[value=early]:checked")
    page.fill("#prompt", LONG[0][0])
    page.keyboard.press("Control+Enter")
    answered(page)
    page.go_back()
    page.click("#job-cancel:has-text('Stop the check')")
    page.wait_for_selector("#job-title:has-text('Cancelled')")
    assert "early stays on the shelf, without a report" in page.locator("#job").inner_text()
    assert "early" in [it["id"] for it in httpx.get(f"{server.address}v1/adapters").json()["data"]]


def test_a_server_that_is_killed_in_the_middle_loses_nothing(server: Server, opened: Open) -> None:
    page = opened(server, quiet=False)
    teach(page, jsonl(LONG), "steady")
    page.wait_for_selector("#job-phases li")
    server.kill()
    page.wait_for_selector("#where-text:has-text('does not answer')")
    page.wait_for_selector("#job-now:has-text('does not answer')")
    server.start()
    page.wait_for_selector("#job-notes:has-text('begun again')")
    page.reload()
    page.wait_for_selector("#job:not([hidden]) #job-phases li")
    reported(page, "steady", 240)
    assert not page.locator("#where-text:has-text('does not answer')").count()


def test_what_people_write_stays_text(server: Server, opened: Open) -> None:
    # What is tried at the end is to be complained about.
    page = opened(server, quiet=False)
    teach(page, jsonl([(f"{HOSTILE} {word}", f"<b>{answer}</b>") for word, answer in TEN[:2]]), "hostile")
    assert HOSTILE in page.locator("#rows-table td").first.inner_text()
    reported(page, "hostile")
    page.click("label[for=shown-all]")
    page.click("#report-ask")
    page.fill("#prompt", HOSTILE)
    page.click("#ask-go")
    answered(page)
    page.click("nav a[href='#/shelf']")
    page.get_by_role("button", name="Details hostile").click()
    page.wait_for_selector("#adapters table")
    assert "taken" not in page.title()
    assert page.locator("main script, main img, main b").count() == 0
    refused = page.evaluate(
        "(() => { try { document.body.innerHTML = '<b>x</b>'; return false; } catch (error) { return error.name; } })()"
    )
    assert refused == "TypeError"


def test_the_key_is_asked_for_kept_in_the_tab_and_asked_for_again(locked: Server, opened: Open) -> None:
    page = opened(locked, quiet=False)
    page.wait_for_selector("#key[open]")
    for _ in range(5):
        page.keyboard.press("Escape")
        page.wait_for_timeout(50)
    assert page.locator("#key[open]").count() == 1
    page.fill("#key-text", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("#key-wrong:has-text('not the server')")
    page.fill("#key-text", "secret")
    page.keyboard.press("Enter")
    page.wait_for_selector("#where-text:has-text('tiny')")
    assert page.evaluate("[sessionStorage.getItem('headstart-key'), localStorage.length, document.cookie]") == ["secret", 0, ""]
    page.reload()
    page.wait_for_selector("#where-text:has-text('tiny')")
    teach(page, jsonl(TEN), "locked")
    reported(page, "locked")


@pytest.mark.usefixtures("hues")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(server: Server, opened: Open, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed: pip install axe-playwright-python")
    found: dict[str, list[str]] = {}

    def look(page: Any, what: str) -> None:
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        told = axe.Axe().run(page, options={"runOnly": {"type": "tag", "values": tags}}).response["violations"]
        if told:
            found[what] = [f"{it['id']} ({it['impact']}): {json.dumps([node['target'] for node in it['nodes'][:3]])}" for it in told]

    # The policy of the page keeps axe out too.
    page = opened(server, scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    page.wait_for_selector("#teach:not([hidden])")
    look(page, "teach, empty")
    page.fill("#rows", jsonl(TEN) + "\nbad")
    page.wait_for_selector("#rows-table tr.bad")
    look(page, "teach, a bad row")
    teach(page, jsonl(LONG[:15]), f"seen-{scheme}")
    page.wait_for_selector("#job-phases li")
    look(page, "a job")
    reported(page, f"seen-{scheme}")
    look(page, "a report")
    page.click("#report-ask")
    page.wait_for_selector("#who input")
    # So many rows do not fit the tiny base's context.
    page.uncheck("input[value='prompt:']")
    page.fill("#prompt", "red please")
    page.click("#ask-go")
    answered(page, 2)
    look(page, "answers")
    page.goto(f"{server.address}#/shelf/hues")
    for button in ("Details hues", "Rename hues"):
        page.get_by_role("button", name=button).click()
        page.wait_for_timeout(300)
        look(page, f"shelf, {button}")
    page.goto(f"{server.address}#/machine")
    page.wait_for_selector("#fit table")
    page.wait_for_selector("#doctor summary")
    look(page, "machine")
    assert found == {}


@pytest.mark.usefixtures("hues")
@pytest.mark.parametrize("wide", [320, 360, 768, 3840])
def test_nothing_is_wider_than_the_window(server: Server, opened: Open, wide: int) -> None:
    page = opened(server, wide=wide)
    page.fill("#rows", jsonl([*TEN, ("x" * 400, "y" * 400)]) + "\nbad")
    page.wait_for_selector("#rows-table tr.bad")
    for view in VIEWS:
        page.goto(f"{server.address}#/{view}")
        page.wait_for_selector(f"#{view}:not([hidden])")
        page.wait_for_load_state("networkidle")
        if view == "ask":
            page.uncheck("input[value='prompt:']")
            page.fill("#prompt", "w" * 300)
            page.click("#ask-go")
            page.wait_for_selector(".answer[aria-busy=false]")
        assert page.evaluate("document.documentElement.scrollWidth") <= wide, view


def test_who_comes_for_one_adapter_asks_no_more_than_are_asked_at_once(server: Server, opened: Open) -> None:
    page = opened(server)
    names = ["codes-1", "codes_1", "codes.1", "d", "e", "f"]
    page.route("**/v1/adapters", lambda route: route.fulfill(json={"data": [{"id": name, "before": []} for name in names]}))
    page.evaluate("names => sessionStorage.setItem('headstart-who', JSON.stringify(names))", names[:5])
    page.goto(f"{server.address}#/ask")
    page.wait_for_selector("#who input")
    assert page.locator("#who input:checked").count() == 5
    assert page.evaluate("new Set([...document.querySelectorAll('#who input')].map(it => it.id)).size") == 8
    page.get_by_label("codes_1", exact=True).uncheck()
    assert not page.locator("#who input[value='codes_1']").is_checked()
    page.goto(f"{server.address}#/ask/f")
    page.wait_for_selector("#who input[value='f']:checked")
    assert page.evaluate("[...document.querySelectorAll('#who input:checked')].map(it => it.value)") == ["base:", "f"]


@pytest.mark.usefixtures("hues")
def test_the_keyboard_reaches_everything(server: Server, opened: Open) -> None:
    page = opened(server)
    page.wait_for_selector("#teach:not([hidden])")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached: list[str] = []
    for _ in range(13):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", reached
    assert reached[1:5] == ["Teach", "Ask", "Shelf", "This machine"]
    assert [it for it in reached if it in ("sample", "choose", "rows", "name", "start", "scratch", "alone")] == [
        "sample",
        "choose",
        "rows",
        "name",
        "start",
        "scratch",
        "alone",
    ]
    page.get_by_role("link", name="Ask", exact=True).press("Enter")
    page.wait_for_selector("#ask:not([hidden])")
    assert page.evaluate("document.activeElement.id") == "ask-title"
    page.locator(".skip").press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.locator("#ask").is_visible()
    assert page.title().startswith("Ask")
