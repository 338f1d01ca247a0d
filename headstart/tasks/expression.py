"""A text as a Python expression: parsed, never run."""

from __future__ import annotations

import ast
import warnings

LONGEST = 2000
"""Letters of a text that is parsed; a longer one is none."""


def expression(text: str) -> ast.expr | None:
    """The expression that a text is; None where it is none, or too long or too deep to be parsed."""
    if len(text) > LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            # A strange escape in somebody's answer is no concern of the user's.
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
