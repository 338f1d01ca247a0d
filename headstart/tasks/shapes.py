"""A row as an example: four shapes, told apart by their keys.

{"prompt": …, "completion": …}
{"messages": [{"role": …, "content": …}, …]}             the last message is the assistant's
{"instruction": …, "input": …, "output": …}              alpaca; input may be missing or empty
{"conversations": [{"from": "human", "value": …}, …]}    sharegpt; the last turn is gpt's

A text under "system" beside any of them is what the system says.
"""

from __future__ import annotations

import re
from typing import Any

from headstart.episode import Example

KEYS = frozenset({"prompt", "completion", "messages", "conversations", "instruction", "output"})
"""A row with any of these is meant to be an example."""
_WANTED = '{"prompt", "completion"}, {"messages"}, {"instruction", "output"} or {"conversations"}'


class BadRow(ValueError):
    """Why a row cannot be used."""


def example(row: Any) -> Example:
    """A parsed row as an example.

    Raises:
        BadRow: it is none.
    """
    if not isinstance(row, dict):
        raise BadRow(f"{kind(row)}; an object with {_WANTED} is wanted")
    _all_is_read(row, "history", "tools", "functions")
    found, system = _shaped(row), _given(row, "system")
    if system and found.messages[0] != ("system", system) and found.messages[0][0] == "system":
        raise BadRow('has a system message and another text under "system"')
    return found.under(system)


def _shaped(row: dict[str, Any]) -> Example:
    if "prompt" in row or "completion" in row:
        return Example.pair(_field(row, "prompt"), _field(row, "completion", answer=True))
    if "messages" in row:
        return _chat(row, "messages", "role", "content", {"system": "system", "user": "user", "assistant": "assistant"})
    if "conversations" in row:
        names = {"system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}
        return _chat(row, "conversations", "from", "value", names)
    if "instruction" in row or "output" in row:
        return Example.pair(
            "\n\n".join(filter(None, [_field(row, "instruction"), _given(row, "input")])), _field(row, "output", answer=True)
        )
    raise BadRow(f"has the keys {', '.join(map(repr, row)) or '(none)'}; {_WANTED} are wanted")


def _chat(row: dict[str, Any], key: str, role_key: str, text_key: str, roles: dict[str, str]) -> Example:
    turns = row[key]
    if not isinstance(turns, list) or not all(isinstance(t, dict) for t in turns):
        raise BadRow(f'"{key}" is not a list of {{"{role_key}", "{text_key}"}} objects')
    messages = []
    for turn in turns:
        role = turn.get(role_key)
        if not isinstance(role, str) or role not in roles:
            raise BadRow(f'"{role_key}" is {role!r}; one of {", ".join(roles)} is wanted')
        _all_is_read(turn, "tool_calls", "function_call")
        messages.append((roles[role], _field(turn, text_key, roles[role] == "assistant")))
    spoken = [role for role, _ in messages if role != "system"]
    if not spoken or spoken != ["user", "assistant"] * (len(spoken) // 2):
        got = " ".join(role for role, _ in messages) or "nothing"
        raise BadRow(f'"{key}" must alternate user and assistant, begin with the user and end with the assistant; got {got}')
    if "system" in [role for role, _ in messages[1:]]:
        raise BadRow(f'"{key}" has a system message after the first turn')
    return Example(tuple(messages))


_NOTHING = ("", "[]", "{}", "null")
"""What other tools write as a text where there is nothing."""


def _all_is_read(row: dict[str, Any], *others: str) -> None:
    """Refuse what would be left out unsaid, and change what the answer is an answer to."""
    for key in others:
        value = row.get(key)
        if value and not (isinstance(value, str) and value.strip() in _NOTHING):
            raise BadRow(f'has "{key}", which is not read: say it in the texts, or leave it out')


def _given(row: dict[str, Any], key: str) -> str:
    """A text that may be missing or blank."""
    value = row.get(key)
    return "" if value is None or (isinstance(value, str) and not value.strip()) else _field(row, key)


def _field(row: dict[str, Any], key: str, answer: bool = False) -> str:
    if key not in row:
        raise BadRow(f'has no "{key}"')
    value = row[key]
    if not isinstance(value, str):
        raise BadRow(f'"{key}" is {kind(value)}; text is wanted')
    if not value.strip():
        raise BadRow(f'"{key}" is empty')
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise BadRow(f'"{key}" holds half a surrogate pair; whole characters are wanted')
    text = value.strip()
    # The first of several lines is indented as the others are.
    return re.sub(r"\A\s*\n", "", value).rstrip() if "\n" in text and answer else text


def kind(value: Any) -> str:
    """What a value of JSON is called."""
    names = {dict: "an object", list: "a list", str: "text", int: "a number", float: "a number", bool: "true or false", type(None): "null"}
    return names[type(value)]
