"""A server that is told to stop while answers are at work: it ends them when their time is over, and tells them so."""

from __future__ import annotations

import time
from threading import Thread

import httpx
import pytest

from headstart.serve.engine import Running
from tests.serve.conftest import BASE, Place

LONG = {"prompt": "red", "max_tokens": 400, "temperature": 2.0, "seed": 1, "stream": True}


def test_what_is_at_work_when_the_time_is_over_is_told_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    turn = Running._turn
    monkeypatch.setattr(Running, "_turn", lambda engine: (time.sleep(0.05), turn(engine)))
    with httpx.stream("POST", f"{place().base_url}completions", json=LONG | {"model": BASE}, timeout=60) as stream:
        lines = stream.iter_lines()
        next(lines)
        # The next server begins when this one has ended.
        ending = Thread(target=place)
        ending.start()
        said = [line for line in lines if line]
    ending.join()
    assert said[-1] == "data: [DONE]"
    assert "The server was shut down." in said[-2]
