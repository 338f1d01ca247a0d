"""Who comes in holds up nobody who is in."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from headstart.episode import Example
from headstart.errors import Busy, ExamplesError
from headstart.lm.chat import Chat
from headstart.lm.generate import Sampling
from headstart.lm.load import Base
from headstart.serve.door import Door, laid
from headstart.serve.request import Ask

BEFORE = tuple(Example.pair(f"{word} please", word.upper()) for word in ("red", "tan", "blue", "grey"))


def ask(text: str) -> Ask:
    return Ask(None, (("user", text),), Sampling(max_tokens=8))


def test_one_leaves_while_the_prompt_of_another_is_read(own: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(own.chat, None, 4, 60.0)  # type: ignore[arg-type]
    door.enter(ask("red please"))
    begun, go_on, read = threading.Event(), threading.Event(), Chat.prompt

    def slow(*given: object) -> tuple[int, ...]:
        begun.set()
        assert go_on.wait(60)
        return read(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(Chat, "prompt", slow)
    enters, leaves = (threading.Thread(target=it, daemon=True) for it in (lambda: door.enter(ask("tan please")), door.leave))
    enters.start()
    assert begun.wait(60)
    leaves.start()
    leaves.join(5)
    left = door.inside
    go_on.set()
    enters.join(60)
    leaves.join(60)
    assert (left, door.inside) == (1, 1), "the one that is read is inside already"


def test_a_prompt_without_room_is_read_once(own: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    readings, read = [], Chat.prompt

    def counted(*given: object) -> tuple[int, ...]:
        readings.append(given)
        return read(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(Chat, "prompt", counted)
    with pytest.raises(ExamplesError, match="shorten it"):
        laid(own.chat, ask("red " * (own.chat.context // 4)).prompt, BEFORE, 8)
    assert len(readings) == 1


def test_what_an_adapter_was_taught_under_is_told_where_a_request_tells_nothing(own: Base) -> None:
    told = Ask(None, (("system", "Be kind."), ("user", "red please")), Sampling(max_tokens=8))
    terse = own.chat.prompt([("system", "Be terse."), ("user", "red please")])
    assert laid(own.chat, ask("red please").prompt, (), 8, "Be terse.") == terse
    assert laid(own.chat, told.prompt, (), 8, "Be terse.") == own.chat.prompt(told.prompt)  # type: ignore[arg-type]
    kept = [Example((("system", "Be terse."), *it.messages)) for it in BEFORE]
    assert laid(own.chat, ask("red please").prompt, kept, 8, "Be terse.") == laid(own.chat, ask("red please").prompt, kept, 8)
    assert laid(own.chat, "red", (), 8, "Be terse.") == own.chat.plain("red")


def test_as_many_examples_stand_in_front_as_leave_room_for_an_answer(own: Base) -> None:
    tokenizer, it = own.chat.tokenizer, ask("pink please")
    wanted = [own.chat.prompt(it.prompt, BEFORE[:shown]) for shown in range(len(BEFORE) + 1)]  # type: ignore[arg-type]
    for shown, tokens in enumerate(wanted):
        assert laid(Chat(tokenizer, len(tokens) + 8), it.prompt, BEFORE, 8) == tokens
        if shown:
            assert laid(Chat(tokenizer, len(tokens) + 7), it.prompt, BEFORE, 8) == wanted[shown - 1]
    assert laid(Chat(tokenizer, len(wanted[0]) + 1), it.prompt, BEFORE, 8) == wanted[0]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Letters of each text that is read."""
    letters, plain, spelt, prompt = [], Chat.plain, Chat.spelt, Chat.prompt
    monkeypatch.setattr(Chat, "plain", lambda it, text: letters.append(len(text)) or plain(it, text))
    monkeypatch.setattr(Chat, "spelt", lambda it, text: letters.append(len(text)) or spelt(it, text))
    monkeypatch.setattr(Chat, "prompt", lambda it, said, *more: letters.append(sum(len(t) for _, t in said)) or prompt(it, said, *more))
    return letters


def test_who_finds_no_room_is_not_read(own: Base, read: list[int]) -> None:
    door = Door(own.chat, None, 1, 60.0)  # type: ignore[arg-type]
    door.enter(ask("red please"))
    read.clear()
    with pytest.raises(Busy, match="1 requests are at work"):
        door.enter(ask("tan please"))
    assert read == []
    door.leave()
    with pytest.raises(ExamplesError):
        door.enter(ask("red " * own.chat.context))
    assert door.inside == 0, "one that is refused is not inside"


def test_a_prompt_is_laid_out_once_for_all_answers_to_it(own: Base, read: list[int]) -> None:
    door, asked = Door(own.chat, None, 20, 60.0), ask("red please")  # type: ignore[arg-type]
    entered = [door.enter(replace(asked, sampling=Sampling(8, 1.0, seed=seed))) for seed in range(16)]
    assert len(read) == 1
    assert {it.tokens for it in entered} == {own.chat.prompt(asked.prompt)}  # type: ignore[arg-type]
    read.clear()
    door.enter(ask("tan please"))
    assert len(read) == 1


@pytest.mark.parametrize("plainly", [True, False])
def test_of_a_prompt_without_end_the_beginning_is_read(own: Base, read: list[int], plainly: bool) -> None:
    text = "red please " * 100 * own.chat.context
    with pytest.raises(ExamplesError, match="more than 512 tokens fills the model's context of 512"):
        laid(own.chat, text if plainly else (("user", text),), BEFORE, 8)
    assert read == [16 * own.chat.context]


def test_marks_are_counted_as_the_letters_that_they_are_read_as(own: Base, read: list[int]) -> None:
    text = own.chat.tokenizer.eos_token * (own.chat.context - 1)
    with pytest.raises(ExamplesError, match="more than 512 tokens"):
        laid(own.chat, (("user", text),), BEFORE, 8)
    assert read == [len(text[: 16 * own.chat.context])], "what is too long is not laid out"
    assert len(laid(own.chat, text, (), 8)) == own.chat.context - 1, "in a text of one's own they are marks"


def test_many_letters_in_few_tokens_are_read(own: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chat, "plain", lambda _, text: (5,) * (len(text) // 100))
    assert len(laid(own.chat, " " * 40 * own.chat.context, (), 8)) == 204
