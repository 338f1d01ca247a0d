"""Rows of a file that a base can read, before hours go into them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headstart.episode import Example
from headstart.errors import ExamplesError
from headstart.lm.load import Base
from headstart.tasks.texts import told


def refuse_overlong(base: Base, path: Path, rows: Sequence[tuple[int, Example]], system: str = "") -> None:
    """See that every row, question and answer, fits the base's context.

    Args:
        base: a loaded base.
        path: the rows' file, for the refusal.
        rows: each with its line.
        system: what is told where a row tells nothing.

    Raises:
        ExamplesError: all that do not, by line.
    """
    bad = []
    for line, row in rows:
        try:
            base.chat.example(row.under(system))
        except ExamplesError as error:
            bad.append(f"  line {line}: {error}")
    if bad:
        raise ExamplesError(told(bad, f"{len(bad)} of {len(rows)} rows of '{path}' cannot be used:"))
