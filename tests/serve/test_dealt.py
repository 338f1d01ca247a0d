"""What a pass reads of which prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from torch import Tensor

from headstart.adapters.store import Shelf
from headstart.bank import Bank
from headstart.lm.generate import Sampling
from headstart.lm.load import Base
from headstart.lm.packed import Packed
from headstart.lm.places import Places, Turn
from headstart.serve import engine as module
from headstart.serve.batch import SHARED
from headstart.serve.dealt import dealt
from headstart.serve.engine import Running
from tests.serve.asking import Make, alone, answer, ask


@dataclass(eq=False)
class Prompt:
    """A row, as far as dealing looks at it."""

    left: int
    came: int = field(default_factory=count().__next__)

    @property
    def unread(self) -> tuple[int, ...]:
        return (0,) * self.left


def shares(chunk: int, *left: int) -> list[int]:
    rows: Any = [Prompt(it) for it in left]
    told = dealt(rows, chunk)
    return [told.get(row, 0) for row in rows]


def test_short_ones_are_read_first_and_the_first_gets_on() -> None:
    assert shares(64, 500, 0, 3) == [61, 0, 3]
    assert shares(64, 500, 40, 30, 0) == [16, 18, 30, 0]
    assert shares(64, 10, 500, 40) == [10, 14, 40]
    assert shares(64, 500, 500, 500) == [64, 0, 0]
    assert shares(64, 20) == [20]
    assert shares(64, 0, 0) == [0, 0]
    assert shares(1, 9, 2) == [1, 0]


def test_a_long_prompt_ends_however_many_short_ones_come() -> None:
    long, passes = Prompt(500), 0
    while long.left:
        rows: Any = [long, *(Prompt(30) for _ in range(20))]
        told = dealt(rows, 64)
        assert sum(told.values()) <= 64
        long.left -= told[long]  # type: ignore[index]
        passes += 1
    assert passes <= -(-500 // 16)


def test_a_question_does_not_wait_behind_a_long_prompt(own: Base, shelf: Shelf, running: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 32)
    engine, passes = running(), []
    long, short = ask("a", "x" * 400), ask("b", "q", Sampling(max_tokens=2))
    go_on = Running._go_on
    monkeypatch.setattr(Running, "_go_on", lambda it, rows: passes.append(len(rows)) or go_on(it, rows))
    begun = engine.submit(long)
    while not passes:
        pass
    asked = engine.submit(short)
    answered = answer(asked)[0]
    assert sum(rows > 1 for rows in passes) <= 5
    assert [answer(begun)[0], answered] == [alone(own, shelf, long), alone(own, shelf, short)]


def test_who_has_nothing_to_read_is_left_out_of_a_pass(running: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 8)
    engine, go_on, reach = running(), Running._go_on, Packed.reach
    rows: list[int] = []
    read: list[list[int]] = []

    def watched(it: Packed, places: Places, bank: Bank, turns: Sequence[Turn]) -> Tensor:
        read.append([len(turn.tokens) for turn in turns])
        return reach(it, places, bank, turns)

    monkeypatch.setattr(Running, "_go_on", lambda it, those: rows.append(len(those)) or go_on(it, those))
    monkeypatch.setattr(Packed, "reach", watched)
    for stream in [engine.submit(ask(name, "x" * 60, Sampling(max_tokens=2))) for name in "abd"]:
        answer(stream)
    assert all(all(tokens) for tokens in read)
    assert any(len(tokens) < those for tokens, those in zip(read, rows, strict=True)), "two of three share what is read at once"


def test_a_question_that_begins_as_a_long_prompt_waits_for_what_they_share_alone(
    own: Base, shelf: Shelf, running: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 32)
    engine, unread, go_on = running(), [], Running._go_on
    long, short = ask("a", "x" * 90 + "y" * 300), ask("a", "x" * 90 + "q", Sampling(max_tokens=2))
    monkeypatch.setattr(Running, "_go_on", lambda it, rows: unread.append([len(row.unread) for row in rows]) or go_on(it, rows))
    answered = [answer(stream) for stream in [engine.submit(long), engine.submit(short)]]
    assert [text for text, _ in answered] == [alone(own, shelf, long), alone(own, shelf, short)]
    assert max(rows[0] for rows in unread if len(rows) > 1) > 200, "the long one is still being read"
    assert answered[1][1].cached_tokens > 90 - SHARED, "what they share was read once, but for a rest that is not worth waiting for"
