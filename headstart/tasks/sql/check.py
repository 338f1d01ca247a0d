"""Whether two answers say the same: read back from the dialect, and executed over rows that are made up."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from headstart.episode import exact
from headstart.tasks.sql.dialect import Dialect
from headstart.tasks.sql.schema import Column, Table, Value

ROWS = 60


@final
@dataclass(frozen=True)
class Same:
    """Right: the same to the letter, or a query that finds the same rows."""

    dialect: Dialect
    table: Table
    seed: int = 0
    """Of the rows."""

    def __call__(self, expected: str, got: str) -> bool:
        """Whether an answer is right; a text that is no query, or that cannot be executed, is not."""
        if exact(expected, got):
            return True
        wanted, said = (self.dialect.plain(text, self.table) for text in (expected, got))
        if wanted is None or said is None:
            return False
        found = self._found(wanted)
        # Where nothing is found, almost any wrong query finds the same.
        return wanted == said or (bool(found) and found == self._found(said))

    def _found(self, statement: str) -> list[tuple[Any, ...]] | None:
        """The rows, in no order where none is asked for; None where it cannot be executed."""
        import duckdb

        try:
            rows = self._database.execute(statement).fetchall()
        except duckdb.Error:
            return None
        return rows if " ORDER BY " in statement.upper() else sorted(rows, key=repr)

    @cached_property
    def _database(self) -> Any:
        return filled(self.table, self.seed)


def filled(table: Table, seed: int, settings: Mapping[str, str] | None = None) -> Any:
    """A database of DuckDB's in memory with made-up rows of a table, and of its other where it has one.

    Args:
        table: names and values.
        seed: of the rows.
        settings: DuckDB's own.
    """
    import duckdb

    database, rng = duckdb.connect(config=dict(settings or {})), random.Random(seed)
    shared = list(range(12))
    _fill(database, table.name, table.columns, table.key, [rng.choice(shared) for _ in range(ROWS)], rng)
    if table.other:
        _fill(database, table.other, table.beyond, table.key, shared, rng)
    return database


def _fill(database: Any, name: str, columns: tuple[Column, ...], key: str, keys: list[int], rng: random.Random) -> None:
    kinds = [f'"{c.name}" {c.kind or ("VARCHAR" if c.texts else "BIGINT")}' for c in columns] + ([f'"{key}" BIGINT'] if key else [])
    database.execute(f'CREATE TABLE "{name}" ({", ".join(kinds)})')
    rows: list[list[Value]] = [[c.draw(rng) for c in columns] + ([k] if key else []) for k in keys]
    row = f"({', '.join('?' for _ in kinds)})"
    # In one statement: row by row takes a tenth of a second.
    database.execute(f'INSERT INTO "{name}" VALUES {", ".join([row] * len(rows))}', [value for values in rows for value in values])
