"""Examples and episodes: what a task shows (support) and what it asks (query)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """One worked example as a chat: every message but the last is given, the last is to be learnt."""

    messages: tuple[tuple[str, str], ...]
    """(role, content), the last one the assistant's"""

    @classmethod
    def pair(cls, prompt: str, completion: str) -> Example:
        """A single question and its answer."""
        return cls((("user", prompt), ("assistant", completion)))

    @property
    def prompt(self) -> str:
        """The last thing asked."""
        return self.messages[-2][1]

    @property
    def completion(self) -> str:
        """The answer to be learnt."""
        return self.messages[-1][1]
