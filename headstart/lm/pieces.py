"""A chat template as what stands around each turn, for tools that know no Jinja."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from headstart.errors import BaseRefused
from headstart.lm.chat import Chat
from headstart.lm.template import opens_with

_MARKS = {"system": "⟦s⟧", "user": "⟦u⟧", "assistant": "⟦a⟧"}
_SHAPES = (
    ("user",),
    ("system", "user"),
    ("user", "assistant", "user"),
    ("system", "user", "assistant", "user", "assistant", "user"),
)
"""Conversations that the pieces have to give as the template does."""


@final
@dataclass(frozen=True)
class Pieces:
    """A conversation is its turns' pieces one behind the other, and `ask`."""

    around: Mapping[str, tuple[str, str]]
    """Role -> what stands before and behind its text."""
    ask: str
    """What stands before the answer."""
    system: str
    """What the system says where nobody speaks for it; empty: nothing."""

    def lay(self, messages: Sequence[tuple[str, str]]) -> str:
        """A conversation that awaits its answer."""
        given = messages if messages[0][0] == "system" or not self.system else [("system", self.system), *messages]
        return "".join(self.around[role][0] + text + self.around[role][1] for role, text in given) + self.ask


def pieces(chat: Chat) -> Pieces:
    """Take a template apart.

    Raises:
        BaseRefused: it writes a turn in another way according to what stands around it, which pieces cannot say.
    """

    opening = opens_with(chat.tokenizer)

    def laid(*roles: str) -> str:
        return chat.laid([(role, _MARKS[role]) for role in roles]).removeprefix(opening)

    head, between, after_answer, *_, ask = _split(laid("system", "user", "assistant", "user", "assistant", "user"))
    before_system, _, behind = head.partition(_MARKS["system"])
    bare = laid("user").partition(_MARKS["user"])[0]
    alone = behind.endswith(bare) and after_answer.endswith(bare)
    before_user = bare if alone else _shared_end(behind, after_answer)
    # What closes the user's turn may as well open the answer: one always follows.
    around = {
        "system": (before_system, behind.removesuffix(before_user)),
        "user": (before_user, ""),
        "assistant": (between, after_answer.removesuffix(before_user)),
    }
    system = "" if alone else bare.removesuffix(before_user).removeprefix(before_system).removesuffix(around["system"][1])
    found = Pieces(around, ask, system)
    for roles in _SHAPES:
        if found.lay([(role, _MARKS[role]) for role in roles]) != laid(*roles):
            raise BaseRefused(
                "This base's chat template writes a turn in another way according to its neighbours: it cannot be taken apart."
            )
    return found


def _split(text: str) -> list[str]:
    """What stands between the users' and the answers' texts."""
    return re.split(f"{_MARKS['user']}|{_MARKS['assistant']}", text)


def _shared_end(a: str, b: str) -> str:
    """The longest end of both."""
    length = next((i for i in range(min(len(a), len(b))) if a[-1 - i] != b[-1 - i]), min(len(a), len(b)))
    return a[len(a) - length :]
