import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.episode import Example
from headstart.lm.batch import Encoded
from headstart.lm.chat import Chat
from headstart.lm.passes import deal

WORDS = [Example.pair(f"{word}?", word.upper()) for word in ("red", "green", "blue", "black", "white", "grey")]


def answers(chat: Chat, dealt: list) -> list[str]:
    texts = [str(chat.tokenizer.decode([e.tokens[i] for i in e.targets])) for e in dealt]
    return [answer for text in texts for answer in text.split("<|im_end|>")[:-1]]


@pytest.fixture(scope="module")
def longest(chat: Chat) -> int:
    return max(len(chat.lay(e)) for e in WORDS)


@given(budget=st.integers(1, 400), seed=st.integers(0, 50))
def test_every_example_is_dealt_once_and_the_budget_kept(chat: Chat, longest: int, budget: int, seed: int) -> None:
    dealt = deal(chat, WORDS, budget, random.Random(seed))
    assert sorted(answers(chat, dealt)) == sorted(e.completion for e in WORDS)
    assert all(len(e) <= max(budget, longest) for e in dealt)


def test_a_wide_budget_makes_one_conversation_and_a_narrow_one_singles(chat: Chat) -> None:
    assert len(deal(chat, WORDS, 10_000, random.Random(0))) == 1
    assert len(deal(chat, WORDS, 1, random.Random(0))) == len(WORDS)


def test_the_order_is_drawn_from_the_stream_given(chat: Chat) -> None:
    assert deal(chat, WORDS, 200, random.Random(1)) == deal(chat, WORDS, 200, random.Random(1))
    assert len({tuple(answers(chat, deal(chat, WORDS, 200, random.Random(seed)))) for seed in range(10)}) > 5


def test_the_examples_given_are_left_in_their_order(chat: Chat) -> None:
    given_examples = list(WORDS)
    deal(chat, given_examples, 200, random.Random(0))
    assert given_examples == WORDS


def by_hand(chat: Chat, examples: list[Example], budget: int) -> list[Encoded]:
    """One more at a time, as long as all fit."""
    dealt: list[list[Example]] = []
    for example in examples:
        if not dealt or len(chat.chain([*dealt[-1], example])) > budget:
            dealt.append([])
        dealt[-1].append(example)
    return [chat.chain(it) for it in dealt]


def test_conversations_are_as_long_as_the_budget_allows_and_found_in_few_tries(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(0)
    many = [Example.pair("word " * rng.randint(1, 9), str(i)) for i in range(40)]
    order = list(many)
    random.Random(1).shuffle(order)
    wanted = by_hand(chat, order, 500)
    laid, chain = list[int](), Chat.chain
    monkeypatch.setattr(Chat, "chain", lambda it, examples: laid.append(len(examples)) or chain(it, examples))  # type: ignore[func-returns-value]
    assert deal(chat, many, 500, random.Random(1)) == wanted
    assert len(wanted) > 3
    assert max(laid) <= 2 * max(len(it.targets) for it in wanted)
    assert len(laid) < 5 * len(wanted)
