"""How a source that reads for more than a moment tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Told (what is being done, steps done, steps in all; 0 where nobody knows)."""


def silent(what: str, done: int, whole: int) -> None:
    """Tell nobody."""
