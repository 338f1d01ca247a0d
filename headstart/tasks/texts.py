"""Examples files: JSONL, JSON, CSV or TSV, with rows as in `headstart.tasks.shapes`.

Two columns out of a spreadsheet, tab separated, are a prompt and its completion; a header that names them is not needed.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar

from headstart.episode import Example
from headstart.errors import ExamplesError
from headstart.tasks.cells import columned, separated, tabbed
from headstart.tasks.shapes import KEYS, BadRow, example, kind

T = TypeVar("T")
Rows = Iterator[tuple[int, Any]]
"""(line, row) of each row; a row that cannot be parsed is a `BadRow`."""
Reader = Callable[[str], Rows]
"""Of a text."""

_SHOWN = 10
"""Bad rows listed in full; the rest are counted."""
_WELL = 5
"""Examples that work well at the least; who asks for more scores with some of them."""

_MOST = 1 << 30
"""Bytes that a packed file may hold; it may say the same in a thousandth of them."""


def read_examples(path: Path, least: int = 1) -> list[Example]:
    """Read a whole examples file, or refuse it whole.

    Args:
        path: ends in .jsonl, .json, .csv or .tsv.
        least: how many examples are needed.

    Raises:
        ExamplesError: no such file, not text, empty, too few rows, or bad rows: every one of them, by line.
    """
    return [row for _, row in numbered(path, least)]


def numbered(path: Path, least: int = 1) -> list[tuple[int, Example]]:
    """The same, each with its line, for whoever finds further fault with some."""
    return parsed(str(path), reader_of(path)(unpacked(path)), least)


def parsed(name: str, rows: Rows, least: int = 1) -> list[tuple[int, Example]]:
    """The same of rows as a reader gives them.

    Args:
        name: what they are called in refusals.
        rows: see `reader_of`.
        least: how many are needed.

    Raises:
        ExamplesError: as for a file.
    """
    examples = each(name, rows, example)
    if len(examples) < least:
        found = "is empty" if not examples else f"has {len(examples)} example{'s' if len(examples) > 1 else ''}"
        well = ", and five to ten work well" if least <= _WELL else ""
        raise ExamplesError(f"'{name}' {found}; at least {least} {'are' if least > 1 else 'is'} needed{well}.")
    return examples


def contradicting(rows: Iterable[tuple[int, Example]]) -> Iterator[str]:
    """Each row that asks what one before it does and answers otherwise, as a line below a headline."""
    first: dict[object, tuple[int, str]] = {}
    for line, row in rows:
        before, answer = first.setdefault(row.messages[:-1], (line, row.completion))
        if row.completion != answer:
            yield f"  line {line}: asks what line {before} asks, and answers otherwise"


def each(name: str, rows: Rows, of: Callable[[Any], T]) -> list[tuple[int, T]]:
    """What every row is, with its line, or of none.

    Args:
        name: what they are called in refusals.
        rows: see `reader_of`.
        of: a row -> what it is; raises BadRow where it is none.

    Raises:
        ExamplesError: bad rows: every one of them, by line.
    """
    found = list(looked(rows, of))
    bad = [f"  line {line}: {it}" for line, it in found if isinstance(it, BadRow)]
    if bad:
        raise ExamplesError(told(bad, f"{len(bad)} of {len(found)} rows of '{name}' cannot be used:"))
    return [(line, it) for line, it in found if not isinstance(it, BadRow)]


def looked(rows: Rows, of: Callable[[Any], T]) -> Iterator[tuple[int, T | BadRow]]:
    """(line, what it is) of each row, or why it is none."""
    for line, row in rows:
        try:
            yield line, row if isinstance(row, BadRow) else of(row)
        except BadRow as error:
            yield line, error


def rows_in(path: Path) -> Rows:
    """The rows of a file, packed by gzip (.jsonl.gz) or not.

    Raises:
        ExamplesError: no such file, not text, or no file of rows by its name.
    """
    return reader_of(path.with_suffix("") if path.suffix == ".gz" else path)(unpacked(path))


def reader_of(path: Path) -> Reader:
    """What parses a file, by the end of its name.

    Raises:
        ExamplesError: nothing does.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        found = "is a folder" if os.path.isdir(path) else f"ends in '{path.suffix}'"
        raise ExamplesError(f"'{path}' {found}: examples files are .jsonl, .json, .csv or .tsv.")
    return reader


def sniffed(text: str) -> str:
    """How a text without a name is to be read: the end that its file would have."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    begun = first.lstrip()
    # A row of a spreadsheet may begin as JSON does.
    if begun.startswith(("[", "{")) and (begun.count("\t") != 1 or _is_json(begun)):
        return ".json" if begun[0] == "[" else ".jsonl"
    return ".tsv" if "\t" in first or columned(text) else ".csv"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def told(bad: Sequence[str], head: str) -> str:
    """Bad rows below a headline; the first few in full, the rest as a number."""
    more = [f"  and {len(bad) - _SHOWN} more"] if len(bad) > _SHOWN else []
    return "\n".join([head, *bad[:_SHOWN], *more])


def unpacked(path: Path) -> str:
    """The text of a file, packed by gzip or not.

    Raises:
        ExamplesError: no such file, not text, packed and too large, or not readable.
    """
    try:
        if path.suffix != ".gz":
            return path.read_bytes().decode("utf-8-sig")
        with gzip.open(path) as file:
            raw = file.read(_MOST + 1)
        if len(raw) > _MOST:
            raise ExamplesError(f"'{path}' holds more than {_MOST / 1e9:.1f} GB; unpack it with gunzip if it is to be read.")
        return raw.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ExamplesError(f"There is no file '{path}'.") from error
    except IsADirectoryError as error:
        raise ExamplesError(f"'{path}' is a folder; a file (.jsonl, .json, .csv or .tsv) is needed.") from error
    except UnicodeDecodeError as error:
        raise ExamplesError(f"'{path}' is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise ExamplesError(f"'{path}' cannot be read ({error}).") from error


def _jsonl(text: str) -> Rows:
    for line, row in enumerate(text.split("\n"), start=1):
        if row.strip():
            try:
                yield line, json.loads(row)
            except (ValueError, RecursionError) as error:
                yield line, BadRow(f"not JSON ({error}); one object a line is wanted")


def _json(text: str) -> Rows:
    if not text.strip():
        return
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        yield getattr(error, "lineno", 1), BadRow(f"not JSON ({getattr(error, 'msg', error)}); for one object a line name the file .jsonl")
        return
    if not isinstance(rows, list):
        yield 1, BadRow(f"the file holds {kind(rows)}; a list of rows is wanted")
        return
    decoder, at = json.JSONDecoder(), text.index("[") + 1
    line, counted = 1, 0
    for row in rows:
        # Rows are found again one by one, as the parser does not say on which line each began.
        while text[at] in " \t\r\n,":
            at += 1
        line, counted = line + text.count("\n", counted, at), at
        yield line, row
        at = decoder.raw_decode(text, at)[1]


def _csv(text: str) -> Rows:
    header: list[str] = []
    rows = separated(text, ",")
    for line, cells in rows:
        if isinstance(cells, csv.Error):
            yield line, BadRow(f"not CSV ({cells})")
        elif header:
            yield line, _named(header, cells)
        elif _KNOWN.isdisjoint(_names(cells)):
            # One cell and nothing below it is no table.
            if len(cells) > 1 or next(rows, None):
                yield line, BadRow(_headless(cells))
            return
        else:
            header = _names(cells)


def _headless(cells: Sequence[str]) -> str:
    """What is said of a first row that names no column of any shape of rows."""
    if any("\t" in cell for cell in cells):
        return "columns are parted by tabs: save it as .tsv"
    if len(cells) == 1 and ";" in cells[0]:
        return f"columns are parted by semicolons ({cells[0]}); save it with commas, or with tabs as .tsv"
    return f"the first row has to name the columns (prompt,completion) and was {shorten(','.join(cells), 100, placeholder=' …')}"


def _tsv(text: str) -> Rows:
    """With a header that names columns as rows do, or without one: then a prompt and its completion."""
    # Who quotes even the header quotes every cell.
    quoted = text.startswith('"') and _heads(next(separated(text, "\t"), (1, []))[1])
    header: list[str] = []
    for number, (line, cells) in enumerate(separated(text, "\t") if quoted else tabbed(text)):
        if isinstance(cells, csv.Error):
            yield line, BadRow(f"not TSV ({cells})")
        elif number == 0 and _heads(cells):
            header = _names(cells)
        elif header:
            yield line, _named(header, cells)
        elif len(cells) == len(_PAIR):
            yield line, dict(zip(_PAIR, cells, strict=True))
        else:
            yield line, BadRow(f"two columns are wanted, a prompt and its completion, and this row has {len(cells)}")


_PAIR = ("prompt", "completion")
_TOPIC = frozenset({"text", "label"})
"""Columns of `headstart.tasks.topics`."""
_KNOWN = KEYS | _TOPIC


_ASKS, _ANSWERS = frozenset({"prompt", "question", "input", "instruction"}), frozenset({"completion", "answer", "output", "response"})
"""What people call the two in a spreadsheet."""


def _asks(cells: Sequence[str]) -> bool:
    """Whether two columns are headed as a question and its answer."""
    return len(cells) == len(_PAIR) and cells[0].strip().lower() in _ASKS and cells[1].strip().lower() in _ANSWERS


def _names(cells: Sequence[str]) -> list[str]:
    return list(_PAIR) if _asks(cells) else [cell.strip().lower() for cell in cells]


def _heads(cells: list[str] | csv.Error) -> bool:
    """Whether these are names of columns: of two both, as a prompt may well be "Output"; of others some, as they are no pair anyway."""
    if isinstance(cells, csv.Error):
        return False
    named = set(_names(cells))
    if len(cells) == len(_PAIR):
        return named <= KEYS | _TOPIC | {"input"}
    return bool(KEYS & named) or named >= _TOPIC


def _named(header: Sequence[str], cells: Sequence[str]) -> Any:
    if len(cells) != len(header):
        return BadRow(f"the header names {len(header)} columns and this row has {len(cells)}")
    return dict(zip(header, cells, strict=True))


_READERS: dict[str, Reader] = {".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json, ".csv": _csv, ".tsv": _tsv}
ENDINGS = frozenset(_READERS)
"""Of the names of files that can be read."""
