"""One thing that was looked at: what it is, why it matters, and the mend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

Level = Literal["ok", "note", "problem"]
"""note: something is slower or smaller than it could be, or an extra is missing. problem: something will fail."""


@final
@dataclass(frozen=True)
class Finding:
    """See the module."""

    about: str
    level: Level
    what: str
    why: str = ""
    mend: str = ""


def fine(about: str, what: str) -> Finding:
    """All is well."""
    return Finding(about, "ok", what)


def note(about: str, what: str, why: str, mend: str) -> Finding:
    """It could be better."""
    return Finding(about, "note", what, why, mend)


def problem(about: str, what: str, why: str, mend: str) -> Finding:
    """It will fail."""
    return Finding(about, "problem", what, why, mend)
