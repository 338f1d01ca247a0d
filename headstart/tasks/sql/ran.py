"""Whether two queries of a real engine say the same: read by sqlglot, and executed on DuckDB over rows that are made up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from headstart.episode import exact
from headstart.tasks.sql.check import filled
from headstart.tasks.sql.schema import Table

_SETTINGS = {"enable_external_access": "false", "memory_limit": "256MB", "threads": "1"}
"""An answer is anybody's text: it reads no files."""
_TABLES, _ROWS = 4, 5000
"""What an answer may name and find, at most."""


@final
@dataclass(frozen=True)
class Ran:
    """Right: the same to the letter, or finding the same rows, or where these cannot be had the same once it is read."""

    engine: str
    """A dialect of sqlglot's."""
    table: Table
    seed: int = 0
    """Of the rows."""

    def __call__(self, expected: str, got: str) -> bool:
        """Whether an answer is right; what the engine's grammar cannot read is not."""
        if exact(expected, got):
            return True
        wanted, said = self.read(expected), self.read(got)
        if wanted is None or said is None:
            return False
        found = self.found(wanted)
        # Where nothing is found, almost any wrong query finds the same.
        return wanted == said or (bool(found) and found == self.found(said))

    def read(self, text: str) -> Any | None:
        """A text as sqlglot's tree; None where it is no single query."""
        import sqlglot
        from sqlglot.errors import SqlglotError

        try:
            tree = sqlglot.parse_one(text.strip().rstrip(";"), read=self.engine)
        except (SqlglotError, RecursionError):
            return None
        return tree if isinstance(tree, sqlglot.exp.Select) else None

    def found(self, tree: Any) -> list[tuple[Any, ...]] | None:
        """The rows, in no order where none is asked for; None where it cannot be executed."""
        import duckdb
        from sqlglot import exp
        from sqlglot.errors import SqlglotError

        tables = list(tree.find_all(exp.Table))
        if len(tables) > _TABLES or not all(isinstance(t.this, exp.Identifier) for t in tables) or tree.find(exp.With):
            return None
        try:
            rows = self._database.execute(tree.sql(dialect="duckdb")).fetchmany(_ROWS)
        except (duckdb.Error, SqlglotError):
            return None
        return rows if tree.args.get("order") else sorted(rows, key=repr)

    @cached_property
    def _database(self) -> Any:
        return filled(self.table, self.seed, _SETTINGS)
