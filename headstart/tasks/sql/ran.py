"""Whether two queries of a real engine say the same: read by sqlglot, and executed on DuckDB over rows that are made up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from headstart.episode import exact
from headstart.tasks.sql.check import Rows, agree, empty, fill
from headstart.tasks.sql.schema import Table, Value

_SETTINGS = {"enable_external_access": "false", "memory_limit": "256MB", "threads": "1"}
"""An answer is anybody's text: it reads no files."""
_TABLES, _ROWS = 4, 5000
"""What an answer may name and find, at most."""


@final
@dataclass(frozen=True)
class Ran:
    """Right: the same to the letter; or the engine's own words, and the same rows, or where these cannot be had the same once read."""

    engine: str
    """A dialect of sqlglot's."""
    table: Table

    def __call__(self, expected: str, got: str) -> bool:
        """Whether an answer is right; what is no query of the engine's is not, even if it finds the rows."""
        if exact(expected, got):
            return True
        wanted, said = self.read(expected), self.read(got)
        if wanted is None or said is None or not self._own(said, got):
            return False
        both = (wanted, said)
        values = [value for tree in both for value in _literals(tree)]
        return _plain(wanted) == _plain(said) or agree(
            self.table, values, self._refilled, lambda: [_rows(tree, self._refilled) for tree in both]
        )

    def read(self, text: str) -> Any | None:
        """A text as sqlglot's tree; None where it is no single query."""
        import sqlglot

        try:
            tree = sqlglot.parse_one(text.strip().rstrip(";"), read=self.engine)
        except Exception:  # An answer is anybody's text, on which sqlglot's own code may end in any error.
            return None
        return tree if isinstance(tree, sqlglot.exp.Select) else None

    def _own(self, tree: Any, text: str) -> bool:
        """Whether the engine's words for a tree are this text: sqlglot reads other engines' words too, which this one would refuse."""
        try:
            return _bare(tree.sql(dialect=self.engine)) == _bare(text)
        except Exception:  # As in `read`.
            return False

    def found(self, tree: Any) -> Rows:
        """The rows, in no order where none is asked for; None where it cannot be executed."""
        return _rows(tree, self._database)

    @cached_property
    def _database(self) -> Any:
        database = empty(_SETTINGS)
        fill(database, self.table, 0)
        return database

    @cached_property
    def _refilled(self) -> Any:
        return empty(_SETTINGS)


def _bare(text: str) -> str:
    """Without blanks, case, the end mark, and the other sign for unequal."""
    return "".join(text.split()).rstrip(";").casefold().replace("!=", "<>")


def _plain(tree: Any) -> Any:
    """The tree with its conditions in sqlglot's own order."""
    from sqlglot.optimizer.simplify import simplify

    try:
        return simplify(tree.copy())
    except Exception:  # As in `read`.
        return tree


def _rows(tree: Any, database: Any) -> Rows:
    from sqlglot import exp

    tables = list(tree.find_all(exp.Table))
    if len(tables) > _TABLES or not all(isinstance(t.this, exp.Identifier) for t in tables) or tree.find(exp.With):
        return None
    try:
        rows = database.execute(tree.sql(dialect="duckdb")).fetchmany(_ROWS)
    except Exception:  # As in `read`: a tree may have what no writer expects; and DuckDB refuses what it cannot run.
        return None
    return rows if tree.args.get("order") else sorted(rows, key=repr)


def _literals(tree: Any) -> Iterator[Value]:
    """Texts and whole numbers that a statement names."""
    from sqlglot import exp

    for it in tree.find_all(exp.Literal):
        if it.is_string:
            yield it.this
        elif it.this.isdecimal():
            yield int(it.this)
