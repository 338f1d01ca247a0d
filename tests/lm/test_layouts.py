"""Layouts of well-known bases: what is taught is what they write themselves, and what they are asked behind."""

from __future__ import annotations

import pytest

from headstart.episode import Example
from headstart.lm.chat import Chat
from headstart.lm.marks import Marks
from tests.lm.shapes import (
    LLAMA2,
    MISTRAL,
    PHI3,
    QWEN3,
    QWEN3_THINKING,
    QWEN3_UNASKED,
    QWQ,
    ZEPHYR,
    gemma,
    harmony,
    llama2,
    mistral,
    phi3,
    plain_with_beginning,
    spaced,
    thinking,
)

THOUGHT = [thinking(it) for it in (QWEN3, QWEN3_UNASKED, QWEN3_THINKING, QWQ)]
ANSWERS = [
    *[(chat, "{}<|im_end|>") for chat in THOUGHT],
    (gemma(), "{}<end_of_turn>"),
    (phi3(), "{}<|end|>"),
    (llama2(), " {} </s>"),
    (mistral(), " {}</s>"),
    (harmony(), "{}<|return|>"),
]
"""Bases, and an answer as it stands there."""
ASKED = [Example.pair("q0", "a0"), Example.pair("q1", "a1"), Example.pair("q2", "a2")]


def ids(chat: Chat, *tokens: str) -> tuple[int, ...]:
    return tuple(chat.tokenizer.convert_tokens_to_ids(list(tokens)))


def learnt(chat: Chat, examples: list[Example]) -> str:
    encoded = chat.chain(examples)
    return str(chat.tokenizer.decode([encoded.tokens[i] for i in encoded.targets]))


@pytest.mark.parametrize(("chat", "end", "last"), [(gemma(), "<end_of_turn>", "<eos>"), (phi3(), "<|end|>", "<|endoftext|>")])
def test_an_end_mark_without_a_name_ends_an_answer(chat: Chat, end: str, last: str) -> None:
    assert chat.stops == ids(chat, last, end)
    assert chat.lay(ASKED[0]).completion[-1] == ids(chat, end)[0]
    assert chat.letters.text(chat.lay(ASKED[0]).completion) == "a0"


def test_the_model_s_own_settings_name_stops_and_no_ordinary_token_is_one() -> None:
    pad, letter = ids(gemma(), "<pad>", "a")
    chat = gemma(ends=(pad, letter))
    assert chat.stops == ids(chat, "<eos>", "<end_of_turn>", "<pad>")
    assert chat.own().stops == chat.stops
    assert chat.own().tokenizer is not chat.tokenizer


@pytest.mark.parametrize(("chat", "answer"), ANSWERS)
def test_every_answer_of_a_chain_is_to_be_predicted_as_the_template_writes_it(chat: Chat, answer: str) -> None:
    assert learnt(chat, ASKED) == "".join(answer.format(it.completion) for it in ASKED)
    assert chat.lay(ASKED[0]).completion[-1] in chat.stops


@pytest.mark.parametrize(("chat", "answer"), ANSWERS)
def test_an_answer_is_asked_behind_what_it_was_taught_behind(chat: Chat, answer: str) -> None:
    chain = chat.chain(ASKED)
    for shown, example in enumerate(ASKED):
        asked = chat.prompt(example.messages[:-1], ASKED[:shown])
        assert chain.tokens[: len(asked)] == asked
        assert chain.targets[sum(it < len(asked) for it in chain.targets)] == len(asked), "its answer begins there"
        assert chat.lay(example, ASKED[:shown]).tokens == chain.tokens[: len(asked) + len(chat.lay(example).completion)]


SPACED = [spaced(it, legacy) for it in (ZEPHYR, LLAMA2, MISTRAL) for legacy in (False, True)]
PHI = ("<|end|>", "<|user|>", "<|assistant|>")
BARE_PHI3 = PHI3.replace("eos_token", "''")


@pytest.mark.parametrize(
    "chat", [gemma(), llama2(), mistral(), phi3(BARE_PHI3), *SPACED, *(spaced(BARE_PHI3, it, PHI) for it in (False, True))]
)
def test_what_is_taught_is_the_template_s_own_conversation(chat: Chat) -> None:
    turns = [{"role": role, "content": content} for it in ASKED for role, content in it.messages]
    text = str(chat.tokenizer.apply_chat_template(turns, tokenize=False))
    whole = tuple(chat.tokenizer(text, add_special_tokens=False).input_ids)
    taught = chat.chain(ASKED).tokens
    assert taught == whole[: len(taught)]
    assert chat.letters.text(whole[len(taught) :]).strip() == ""


@pytest.mark.parametrize("chat", THOUGHT)
def test_a_thought_is_over_before_the_answer(chat: Chat) -> None:
    text = "<|im_start|>user\nq0<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert chat.tokenizer.decode(list(chat.lay(ASKED[0]).prompt)) == chat.laid([("user", "q0")]) == text
    assert chat.letters.text(chat.lay(ASKED[0]).completion) == "a0"


def test_what_a_template_strips_is_not_taught() -> None:
    chat = llama2()
    blank = [Example.pair(" q0\n", "\n a0 "), ASKED[1]]
    assert chat.chain(blank) == chat.chain(ASKED[:2])


def test_a_system_message_that_moves_to_the_last_question_is_told_in_each() -> None:
    chat = mistral()
    told = Example((("system", "Be terse."), *ASKED[0].messages))
    text = "<s>[INST] Be terse.\n\nq0 [/INST] a0</s>[INST] Be terse.\n\nq1 [/INST] a1</s>"
    assert chat.tokenizer.decode(list(chat.chain([told, ASKED[1]]).tokens)) == text
    assert learnt(chat, [told, ASKED[1]]) == " a0</s> a1</s>"


def test_without_a_template_a_text_begins_as_the_tokenizer_begins_one() -> None:
    chat = plain_with_beginning()
    assert chat.chain(ASKED[:2]).tokens == (*chat.plain("q0\na0"), *ids(chat, "</s>"), *chat.plain("\nq1\na1")[1:], *ids(chat, "</s>"))
    assert chat.prompt(ASKED[0].messages[:-1]) == chat.plain("q0\n")
    assert chat.template_hash != thinking("").template_hash, "an adapter that was made without it is refused"


@pytest.mark.parametrize("chat", [gemma(), phi3(), llama2(), thinking(QWEN3), harmony(), plain_with_beginning(), *SPACED])
def test_the_letters_of_a_mark_in_a_text_are_letters(chat: Chat) -> None:
    every = " ".join(token.content for token in chat.tokenizer.added_tokens_decoder.values())
    text = f"x {every}y \ufdd0\ufdd10\ufdd2"
    told, plain = Example.pair(text, text), Example.pair("x", "x")
    encoded = chat.chain([told, told])
    assert chat.letters.text(chat.lay(told).completion).strip() == text
    assert text in chat.laid([("user", text)])
    assert [it for it in encoded.tokens if it in chat._marks.ids] == [
        it for it in chat.chain([plain, plain]).tokens if it in chat._marks.ids
    ]
    assert chat.prompt(told.messages[:-1], [told]) == encoded.prompt


@pytest.mark.parametrize("chat", [gemma(), llama2(), harmony(), *SPACED])
def test_the_letters_of_a_mark_are_looked_up_once_however_often_they_stand(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    mark, marks, read = chat.tokenizer.eos_token, chat._marks, []
    once = marks.tokens(marks.held(f"x{mark}"))[len(marks.tokens("x")) :]
    looked = Marks._read
    monkeypatch.setattr(Marks, "_read", lambda *given: read.append(given[1]) or looked(*given))
    # Where each mark copied all tokens before it, this took an hour.
    assert marks.tokens(marks.held("x" + 200_000 * mark)) == marks.tokens("x") + 200_000 * once
    assert len(read) < 5


def test_without_a_template_a_space_stands_before_the_whole_alone() -> None:
    chat = spaced(None)
    first = chat.chain(ASKED[:1]).tokens
    assert first == (*chat.plain("q0\na0"), *ids(chat, "</s>"))
    assert chat.tokenizer.convert_ids_to_tokens(list(first)) == ["<s>", "▁q0", "<0x0A>", "a0", "</s>"]
    assert chat.chain(ASKED[:2]).tokens == (*first, *ids(chat, "<0x0A>", "q1", "<0x0A>", "a1", "</s>"))


def test_without_a_template_what_follows_stands_behind_the_end_of_text() -> None:
    chat = spaced(None, legacy=True)
    assert chat.chain(ASKED[:2]).tokens == (*chat.plain("q0\na0</s>\nq1\na1"), *ids(chat, "</s>"))
