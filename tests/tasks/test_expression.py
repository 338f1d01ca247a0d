import ast
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.tasks.expression import LONGEST, expression


def test_an_expression_is_parsed_and_a_statement_is_none() -> None:
    assert isinstance(expression(" f(x=1) "), ast.Call)
    assert expression("x = 1") is None
    assert expression("f(") is None


@pytest.mark.parametrize("text", ["(" * 900 + ")" * 900, "f(" + "1," * LONGEST + ")", "a\x00b"])
def test_what_would_break_the_parser_is_none(text: str) -> None:
    assert expression(text) is None


def test_a_strange_escape_warns_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert expression(r"f('\d')") is not None


@given(st.text(max_size=80))
def test_any_text_is_taken(text: str) -> None:
    assert expression(text) is None or isinstance(expression(text), ast.expr)
