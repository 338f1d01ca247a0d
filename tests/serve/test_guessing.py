"""Guesses that were read along with a row's last token: they save passes, and change no answer."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from torch import Tensor

from headstart.adapters.store import Shelf
from headstart.bank import Bank
from headstart.lm.generate import Sampling
from headstart.lm.hooked import Hooked
from headstart.lm.load import Base
from headstart.lm.places import Places, Turn
from headstart.serve import engine as module
from headstart.serve.door import Entered
from headstart.serve.request import Ended, Piece
from headstart.serve.row import Row
from tests.serve.asking import GREEDY, Make, alone, answer, ask


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(temperature=0.05, seed=1)])
def test_guesses_save_passes_and_change_nothing(running: Make, sampling: Sampling) -> None:
    """A tiny model soon says the same over and over, which is guessed; of one row, so that no pass is shared."""
    told: list[tuple[list[Piece], Ended]] = []
    passes = []
    for guessed in (0, 64):
        engine = running(guessed=guessed)
        stream = engine.submit(ask("a", "red blue red blue red", replace(sampling, max_tokens=40), logprobs=2))
        pieces: list[Piece] = []
        while not isinstance(it := stream.next(timeout=60), Ended):
            pieces.append(it)
        told.append((pieces, it))
        passes.append(engine.figures()["passes"])
        assert engine.figures()["tokens_written"] == it.completion_tokens
        engine.stop()
    (plainly, end), (guessing, other) = told
    assert end == other
    assert [(it.text, it.taken and it.taken.text) for it in plainly] == [(it.text, it.taken and it.taken.text) for it in guessing]
    for one, two in zip(plainly, guessing, strict=True):
        assert one.taken is not None
        assert two.taken is not None
        assert one.taken.logprob == pytest.approx(two.taken.logprob, abs=1e-4)
    assert passes[1] < passes[0]


def test_a_wrong_guess_leaves_no_trace(own: Base, shelf: Shelf, running: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)
    monkeypatch.setattr(
        Row, "guess", lambda row, most: tuple(rng.choices(range(3, 40), k=min(most, row.asked.room - len(row.growing.tokens) - 1)))
    )
    asked = [ask(name, "grey pink blue", Sampling(max_tokens=24)) for name in ("a", None, "b")]
    expected = [alone(own, shelf, it) for it in asked]
    engine = running(rows=3)
    assert [answer(stream)[0] for stream in [engine.submit(it) for it in asked]] == expected
    assert engine.figures()["tokens_guessed"] < engine.figures()["tokens_written"] / 4


def test_where_each_row_would_have_a_pass_of_its_own_a_row_guesses_alone(running: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    guessing: list[int] = []

    def watched(read: Hooked, places: Places, bank: Bank, turns: Sequence[Turn]) -> Tensor:
        guessing.extend(len(turns) for turn in turns if turn.told > 1)
        return reach(read, places, bank, turns)

    reach = Hooked.reach
    monkeypatch.setattr(Hooked, "reach", watched)
    monkeypatch.setattr(module, "reader", lambda net, fast: Hooked(net))
    engine = running(rows=3)
    for rows in (1, 3):
        streams = [engine.submit(ask("a", "red blue red blue red", Sampling(max_tokens=40))) for _ in range(rows)]
        assert len({answer(stream)[0] for stream in streams}) == 1
    assert {*guessing} == {1}


def test_no_more_is_guessed_than_there_is_room_for_beside_one_more(own: Base) -> None:
    row = Row(Entered(ask(), (7, 8, 9) * 6, room=4, content=None, deadline=math.inf), own.chat)
    assert row.guess(8) == (7, 8, 9)
    row.growing.tokens.extend([7, 8])
    assert len(row.guess(8)) == 1
    row.growing.tokens.append(9)
    assert row.guess(8) == ()
