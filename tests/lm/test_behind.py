import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.episode import Example
from headstart.lm.behind import LEAST, behind, largest
from headstart.lm.chat import Chat

BEFORE = [Example.pair(word, word[0].upper()) for word in ("red", "green", "blue", "black", "white")]
ASKED = Example.pair("grey", "G")


def short(chat: Chat, context: int) -> Chat:
    return Chat(chat.tokenizer, context)


@pytest.mark.parametrize(("most", "room"), [(20, 20), (LEAST, LEAST), (1000, LEAST)])
def test_as_many_examples_stand_in_front_as_leave_room_for_an_answer(chat: Chat, most: int, room: int) -> None:
    for shown in range(len(BEFORE) + 1):
        row = chat.lay(ASKED, BEFORE[:shown])
        assert behind(short(chat, len(row.prompt) + room), BEFORE, ASKED, most) == (row, shown)
        if shown:
            assert behind(short(chat, len(row.prompt) + room - 1), BEFORE, ASKED, most)[1] == shown - 1


def test_a_right_answer_that_is_longer_has_all_its_room(chat: Chat) -> None:
    asked = Example.pair("grey", "G" * 100)
    row = chat.lay(asked, BEFORE[:3])
    assert len(row.completion) > LEAST
    assert behind(short(chat, len(row)), BEFORE, asked) == (row, 3)
    assert behind(short(chat, len(row) - 1), BEFORE, asked)[1] == 2


def test_the_question_stands_last_and_alone_is_to_be_answered(chat: Chat) -> None:
    row, shown = behind(chat, BEFORE[:2], BEFORE[2])
    text = str(chat.tokenizer.decode(row.prompt))
    assert shown == 2
    assert text.index("red") < text.index("green") < text.index("blue")
    assert (chat.letters.text(row.completion), row.earlier) == ("B", ())


@given(count=st.integers(0, 200), fitting=st.integers(0, 250), guess=st.integers(0, 200))
def test_the_largest_that_fits_is_found_from_any_guess_in_few_tries(count: int, fitting: int, guess: int) -> None:
    tried: list[int] = []
    assert largest(count, lambda n: tried.append(n) or n <= fitting, min(guess, count)) == min(count, fitting)  # type: ignore[func-returns-value]
    assert len(tried) <= 17
    assert all(0 <= n <= count for n in tried)
    assert len(set(tried)) == len(tried)


def test_all_that_fit_are_laid_out_once() -> None:
    assert largest(20, lambda n: n == 20, 20) == 20
