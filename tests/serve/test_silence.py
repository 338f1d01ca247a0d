"""An engine behind ours that says nothing, and a relay that is no more: nobody waits for ever."""

from __future__ import annotations

import time
from typing import Any

import pytest

from headstart.errors import EngineGone
from headstart.serve import llama
from tests.serve.conftest import Relays
from tests.serve.test_relay import ask, heard


def test_an_engine_that_says_nothing_is_given_no_longer_than_the_request_has(relay: Relays, monkeypatch: Any) -> None:
    monkeypatch.setenv("SILENT_SECONDS", "40")
    monkeypatch.setattr(llama, "TELLING", 1.0)
    engine, since = relay(deadline=3.0), time.monotonic()
    end = heard(engine.submit(ask("a")))[1]
    assert (end.reason, "took longer than 3 seconds" in end.error) == ("late", True)
    assert time.monotonic() < since + 20
    monkeypatch.setenv("SILENT_SECONDS", "0")
    assert heard(engine.submit(ask("a")))[1].reason == "length", "another process is begun"


def test_a_client_that_hangs_up_while_its_prompt_is_read_frees_its_place(relay: Relays, monkeypatch: Any) -> None:
    monkeypatch.setenv("PROMPT_LOOKS", "400")
    engine, since = relay(), time.monotonic()
    stream = engine.submit(ask("a"))
    time.sleep(1)
    stream.cancel()
    text, end, pieces = heard(stream)
    assert (text, end.reason, end.completion_tokens, pieces) == ("", "cancelled", 0, [])
    assert time.monotonic() < since + 10


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_relay_that_is_no_more(relay: Relays, monkeypatch: Any) -> None:
    monkeypatch.setenv("TOKEN_SECONDS", "0.05")
    engine = relay(rows=1)
    first, second = engine.submit(ask("a", 40)), engine.submit(ask("a", 40))
    first.next(60)

    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(engine._peer, "tidy", broken)
    assert "broke down" in heard(second)[1].error
    assert heard(first)[1].reason == "length"
    with pytest.raises(EngineGone, match="broke down"):
        engine.submit(ask("a"))
    assert (engine.alive(), engine.busy()) == (False, False)
