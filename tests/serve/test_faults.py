"""Whatever fails, it fails for the one at fault, and says so."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

import pytest
import torch
from starlette.testclient import TestClient

from headstart.adapters.store import Shelf
from headstart.bank import Bank
from headstart.errors import EngineGone
from headstart.lm.load import Base
from headstart.lm.packed import Packed
from headstart.lm.places import Kv, Places, Turn
from headstart.serve.api import Api
from headstart.serve.limits import Limits
from tests.serve.asking import Make, alone, answer, ask


def test_a_row_of_no_numbers_fails_alone(own: Base, shelf: Shelf, running: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, asked, read = running(), [ask("a"), ask("b"), ask("d")], Packed.__call__

    def overflowing(packed: Packed, places: Places, bank: Bank, turns: list[Turn]) -> torch.Tensor:
        logits, told = read(packed, places, bank, turns), [turn.content for turn in turns for _ in range(turn.told)]
        logits[[i for i, hash in enumerate(told) if hash == bad], 7] = float("nan")
        return logits

    bad = engine._catalogue.content("b").hash
    monkeypatch.setattr(Packed, "__call__", overflowing)
    answers = [answer(stream) for stream in [engine.submit(it) for it in asked]]
    assert (answers[1][1].reason, answers[1][0]) == ("error", "")
    assert "no probabilities" in answers[1][1].error
    assert [answers[i][0] for i in (0, 2)] == [alone(own, shelf, asked[i]) for i in (0, 2)]


def test_a_prompt_that_there_is_no_memory_to_keep_is_answered_all_the_same(
    own: Base, shelf: Shelf, running: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(places: Places, row: int, length: int) -> Kv:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(Places, "copy", refused)
    engine = running()
    assert answer(engine.submit(ask("a")))[0] == alone(own, shelf, ask("a"))
    assert (engine.figures()["errors"], engine.figures()["kept_bytes"]) == (0, 0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_an_engine_that_is_no_more(running: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, held = running(), threading.Event()

    def die() -> None:
        held.wait(10)
        raise SystemExit

    monkeypatch.setattr(engine, "_turn", die)
    stream = engine.submit(ask(None))
    waits = ThreadPoolExecutor(1).submit(engine.figures)
    held.set()
    assert "broke down" in answer(stream)[1].error
    assert wait([waits], 10).done
    engine._thread.join(10)
    told = Api(engine, "tiny", Limits()).app()
    for work in (partial(engine.submit, ask(None)), engine.figures):
        with pytest.raises(EngineGone, match="broke down"):
            work()
    assert not engine.busy()
    with TestClient(told) as client:
        said = [client.get("/health"), client.post("/v1/completions", json={"model": "tiny", "prompt": "a"}), client.get("/v1/models")]
    assert [it.status_code for it in said] == [503, 503, 503]
