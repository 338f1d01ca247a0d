"""What a row says is read, or the row is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from headstart.episode import Example
from headstart.tasks.shapes import BadRow, example

PAIR: dict[str, Any] = {"prompt": "a", "completion": "b"}
TURNS: dict[str, Any] = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
SHAREGPT: dict[str, Any] = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
ALPACA: dict[str, Any] = {"instruction": "a", "input": "", "output": "b"}
SHAPES = [PAIR, TURNS, SHAREGPT, ALPACA]


@pytest.mark.parametrize("row", SHAPES)
def test_a_text_under_system_is_what_the_system_says(row: dict[str, Any]) -> None:
    assert example(row | {"system": "Be kind."}) == Example((("system", "Be kind."), ("user", "a"), ("assistant", "b")))
    for nothing in (None, "", " "):
        assert example(row | {"system": nothing}) == Example.pair("a", "b")
    with pytest.raises(BadRow, match='"system" is a list'):
        example(row | {"system": ["Be kind."]})


def test_two_system_messages_have_to_say_the_same() -> None:
    row = {"messages": [{"role": "system", "content": "Be kind."}, *TURNS["messages"]]}
    assert example(row | {"system": "Be kind."}) == example(row)
    with pytest.raises(BadRow, match="another text"):
        example(row | {"system": "Be terse."})


@pytest.mark.parametrize("row", SHAPES)
@pytest.mark.parametrize(("key", "value"), [("history", [["c", "d"]]), ("tools", [{}]), ("tools", "[{}]"), ("functions", [{}])])
def test_what_would_be_left_out_is_refused(row: dict[str, Any], key: str, value: Any) -> None:
    with pytest.raises(BadRow, match=f'has "{key}", which is not read'):
        example(row | {key: value})
    assert example(row | {key: []}) == example(row | {key: None}) == Example.pair("a", "b")


def test_a_turn_that_calls_a_tool_is_refused() -> None:
    user, answer = TURNS["messages"]
    with pytest.raises(BadRow, match='has "tool_calls"'):
        example({"messages": [user, answer | {"tool_calls": [{}]}]})


@pytest.mark.parametrize(("value", "is_"), [(0, "a number"), (False, "true or false"), ([], "a list")])
def test_an_input_that_is_no_text_is_refused(value: Any, is_: str) -> None:
    with pytest.raises(BadRow, match=f'"input" is {is_}'):
        example(ALPACA | {"input": value})


@pytest.mark.parametrize(
    "make",
    [
        lambda text: SHAREGPT | {"conversations": [SHAREGPT["conversations"][0], {"from": "gpt", "value": text}]},
        lambda text: PAIR | {"completion": text},
        lambda text: ALPACA | {"output": text},
    ],
)
def test_an_answer_of_several_lines_keeps_what_its_first_is_indented_by(make: Callable[[str], dict[str, Any]]) -> None:
    told = {text: example(make(text)).completion for text in ("\n \n    if x:\n        y\n\n", "    if x:\n        y  ", "  one \n")}
    assert list(told.values()) == ["    if x:\n        y", "    if x:\n        y", "one"]
    assert all(example(make(kept)).completion == kept for kept in told.values()), "what is kept is read back as it was"
