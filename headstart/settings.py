"""Settings: tables onto frozen dataclasses, whose types are the checks and whose field docstrings are the help.

A field is a key if TOML can express its type; what it cannot express (a net, a device) is given by the program.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import json
import textwrap
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

from headstart.errors import SettingsError, nearest

_WORDS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    Path: "a path",
    NoneType: "nothing",
}
_UNFIT = object()


@dataclass(frozen=True)
class Key:
    """One thing that may be set."""

    name: str
    """Of the field."""
    kind: Any
    """Its type."""
    default: Any
    """What it is when nobody sets it; `dataclasses.MISSING`: it must be set."""
    meaning: str
    """The field's docstring."""

    @property
    def wanted(self) -> str:
        """The type in words."""
        return _words(self.kind)


def values_of(known: Sequence[Key], table: Mapping[str, Any], where: str = "") -> tuple[dict[str, Any], list[str]]:
    """The value of every key, from the table or by default, and what is wrong with the table.

    Args:
        known: the keys that there are.
        table: key -> value, as TOML has it; None: nothing, whatever else would set it.
        where: the table's own name, for messages.
    """
    values: dict[str, Any] = {}
    names = [key.name for key in known]
    wrong = [f"{_path(where, name)} is no key here.{nearest(name, names)}" for name in table if name not in names]
    for key in known:
        if table.get(key.name) is None:
            values[key.name] = key.default
            wrong += [f"{_path(where, key.name)} is missing: {key.wanted} is wanted."] if key.default is MISSING else []
        else:
            values[key.name] = _fit(key.kind, table[key.name])
            wrong += [_misfit(_path(where, key.name), table[key.name], key)] if values[key.name] is _UNFIT else []
    return values, wrong


def keys(cls: type[Any], given: Collection[str] = ()) -> list[Key]:
    """What may be set in a dataclass."""
    kinds, meanings = get_type_hints(cls), _docstrings(cls)  # type: ignore[arg-type]
    wanted = [f for f in fields(cls) if f.init and f.name not in given and _expressible(kinds[f.name])]
    return [Key(f.name, kinds[f.name], _default(f), meanings.get(f.name, "")) for f in wanted]


def refuse(wrong: Iterable[str]) -> None:
    """Raise one error for all that is wrong, if anything is."""
    lines = list(wrong)
    if lines:
        raise SettingsError("\n  ".join([f"{len(lines)} setting{'s' * (len(lines) > 1)} cannot be used:", *lines]))


def below(least: int, it: object, *names: str, table: str = "learner") -> list[str]:
    """What is wrong with fields of which none may be less than `least`; a number that is none is."""
    return [f"{table}.{name} is {getattr(it, name)}; {least} or more is wanted." for name in names if not getattr(it, name) >= least]


def not_above_none(it: object, *names: str) -> list[str]:
    """What is wrong with fields of a learner that have to be more than 0."""
    return [f"learner.{name} is {getattr(it, name)}; more than 0 is wanted." for name in names if not getattr(it, name) > 0]


def override(table: Mapping[str, Any], pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A table with some values on top: the key `outer.steps` sets `steps` in the table `outer`.

    Raises:
        SettingsError: a key below something that is no table.
    """
    result = {name: dict(value) if isinstance(value, Mapping) else value for name, value in table.items()}
    wrong = []
    for path, value in pairs:
        *tables, name = path.split(".")
        inner: Any = result
        for step in tables:
            inner = inner.setdefault(step, {}) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and name and all(tables):
            inner[name] = value
        else:
            wrong.append(f"'{path}' names no place in the settings.")
    refuse(wrong)
    return result


def pair(word: str) -> tuple[str, Any]:
    """Key and value of `key=value`; the value is read as TOML, and as text where it is none: `tasks.kind=sine` needs no quotes.

    None of `key=`: what a config or a paper sets is not wanted.

    Raises:
        SettingsError: there is no key or no `=`.
    """
    path, sign, text = word.partition("=")
    if not sign or not path:
        raise SettingsError(f"'{word}' sets nothing: key=value is wanted, such as outer.steps=100; key= for none.")
    if not text:
        return path, None
    try:
        found = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return path, text
    return path, found["value"] if len(found) == 1 else text


def _fit(kind: Any, value: Any) -> Any:
    """The value as its type has it, or `_UNFIT`."""
    try:
        # By way of JSON, in whose strict reading a list may be a tuple and text a path, and true and nan are no numbers.
        fit = TypeAdapter(kind).validate_json(json.dumps(value, allow_nan=False), strict=True)
    except (ValueError, TypeError):
        return _UNFIT
    return fit.expanduser() if isinstance(fit, Path) else fit


def _options(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else ()


def _expressible(kind: Any) -> bool:
    if get_origin(kind) is tuple:
        return all(part is Ellipsis or _expressible(part) for part in get_args(kind))
    if _options(kind):
        return all(_expressible(part) for part in _options(kind))
    return kind in _WORDS or get_origin(kind) is Literal


def _words(kind: Any) -> str:
    parts = get_args(kind)
    if get_origin(kind) is Literal:
        return " or ".join(f'"{part}"' if isinstance(part, str) else str(part) for part in parts)
    if get_origin(kind) is tuple:
        return f"a list, each {_words(parts[0])}" if parts[-1] is Ellipsis else f"a list of {len(parts)}, each {_words(parts[0])}"
    return " or ".join(map(_words, _options(kind))) or _WORDS[kind]


def _misfit(path: str, got: Any, key: Key) -> str:
    named = [part for part in get_args(key.kind) if isinstance(part, str)]
    return f"{path} is {got!r}; {key.wanted} is wanted.{nearest(got, named) if isinstance(got, str) and named else ''}"


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


@functools.cache
def _docstrings(cls: type[Any]) -> dict[str, str]:
    """A string on the line below a field, which Python itself throws away."""
    try:
        [body] = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, SyntaxError):
        return {}
    found: dict[str, str] = {}
    lines = getattr(body, "body", [])
    for field, line in itertools.pairwise(lines):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(line, ast.Expr):
            found[field.target.id] = inspect.cleandoc(str(getattr(line.value, "value", "")))
    return found
