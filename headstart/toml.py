"""TOML, read with the place of what is wrong and written with a comment on every key; Python itself only reads it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.errors import SettingsError


def read(path: Path) -> dict[str, Any]:
    """The tables of a file.

    Raises:
        SettingsError: no such file, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"There is no file '{path}'.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"'{path}' cannot be read ({error}); a TOML file is wanted.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"'{path}' is not TOML: {error}.") from error


def write(table: Mapping[str, Any], comments: Mapping[str, str] | None = None) -> str:
    """A table with tables in it, one deep, as text; a value of None is a comment, as TOML has none.

    Args:
        table: key -> value, or name -> table.
        comments: "key" or "table.key" -> what it means, written above it.
    """
    told = comments or {}
    flat = [(name, value) for name, value in table.items() if not isinstance(value, Mapping)]
    blocks = [_block("", flat, told)] if flat else []
    blocks += [_block(name, list(inner.items()), told) for name, inner in table.items() if isinstance(inner, Mapping)]
    return "\n".join(blocks)


def _block(name: str, rows: list[tuple[str, Any]], comments: Mapping[str, str]) -> str:
    lines = [f"[{name}]"] if name else []
    for key, value in rows:
        comment = comments.get(f"{name}.{key}" if name else key, "")
        lines += [f"# {line}" for line in comment.splitlines()]
        lines.append(f"# {key} is not set" if value is None else f"{key} = {_value(value)}")
    return "".join(line + "\n" for line in lines)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool | str | Path):
        # JSON's basic strings are TOML's, but for the one control character that JSON leaves as it is.
        return json.dumps(value if isinstance(value, bool) else str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
