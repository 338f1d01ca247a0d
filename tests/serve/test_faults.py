"""Whatever fails, it fails for the one at fault, and says so."""

from __future__ import annotations

import pytest
import torch

from headstart.adapters.store import Shelf
from headstart.bank import Bank
from headstart.lm.load import Base
from headstart.lm.packed import Packed
from headstart.lm.places import Kv, Places, Turn
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
