"""Cells of CSV and of two columns out of a spreadsheet, each row with the line that it begins on."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain

Cells = Iterator[tuple[int, list[str] | csv.Error]]
"""(line, cells) of each row that is not blank, or why it has none."""
_OPEN = re.compile(r'(?:^|\t)"(?:[^"]|"")*$')
"""A line that ends within a quoted cell."""
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
"""A cell on one line that a spreadsheet may have quoted: every quote in it is doubled."""


def separated(text: str, between: str) -> Cells:
    """Cells that are quoted as in CSV; none are read behind an error."""
    # People who type set a space after a comma, and a quote behind it would be a letter of the cell.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=between, skipinitialspace=between == ",", strict=True)
    line = 1
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        yield line, error


def tabbed(text: str) -> Cells:
    """Cells as people paste them: a line with one tab is two cells, whatever quotes are in them, unless a quoted cell goes on below."""
    lines, at = iter(io.StringIO(text, newline="")), 1
    for line in lines:
        bare = line.rstrip("\r\n")
        if bare.count("\t") == 1 and not _OPEN.search(bare):
            if bare.strip():
                yield at, [_plain(cell) for cell in bare.split("\t")]
            at += 1
            continue
        reader = csv.reader(chain([line], lines), delimiter="\t", strict=True)
        try:
            cells = next(reader)
            if any(map(str.strip, cells)):
                yield at, cells
        except csv.Error as error:
            yield at, error
        at += reader.line_num


def columned(text: str) -> bool:
    """Whether a tab ends the first cell, on whichever line that is."""
    cells = next(tabbed(text), (1, []))[1]
    return isinstance(cells, list) and len(cells) > 1


def _plain(cell: str) -> str:
    """Without a spreadsheet's quoting, which it does only where a quote is in the cell; quotes of the text's own stay."""
    return cell[1:-1].replace('""', '"') if '"' in cell[1:-1] and _QUOTED.fullmatch(cell) else cell
