"""Whether two answers say the same: read back from the dialect, and executed over rows that are made up to tell them apart."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any, final

from headstart.episode import exact
from headstart.tasks.sql.dialect import Dialect
from headstart.tasks.sql.query import Condition, Query, sql
from headstart.tasks.sql.schema import Column, Table, Value

ROWS = 60
"""Rows of a table."""
SIZES = (3, 6, 6, 12, 12, 24, ROWS, ROWS)
"""Rows of a table each time that two answers must find the same: among few the first and the largest are seldom the same by chance."""
Rows = list[tuple[Any, ...]] | None
"""What a statement finds; None where it cannot be executed."""
_NAMED, _LARGEST = 24, 2**31
"""Of what answers name, which are anybody's text, so many values are put into rows, and no larger numbers."""


@final
@dataclass(frozen=True)
class Same:
    """Right: the same to the letter, or a query that says the same in another order, or that finds the same rows."""

    dialect: Dialect
    table: Table

    def __call__(self, expected: str, got: str) -> bool:
        """Whether an answer is right; a text that is no query, or that cannot be executed, is not."""
        if exact(expected, got):
            return True
        wanted, said = (self.dialect.parse(text) for text in (expected, got))
        if wanted is None or said is None:
            return False
        values = [value for query in (wanted, said) for condition in query.conditions for value in condition.values]
        both = [sql(query, self.table) for query in (wanted, said)]
        return _ordered(wanted) == _ordered(said) or agree(
            self.table, values, self._database, lambda: [_found(self._database, it) for it in both]
        )

    @cached_property
    def _database(self) -> Any:
        return empty()


def _ordered(query: Query) -> Query:
    """The query with its conditions, and what they choose among, in one order."""

    def sorted_values(it: Condition) -> Condition:
        return replace(it, values=tuple(sorted(it.values, key=repr))) if it.test == "among" else it

    return replace(query, conditions=tuple(sorted(map(sorted_values, query.conditions), key=repr)))


def _found(database: Any, statement: str) -> Rows:
    """The rows, in no order where none is asked for."""
    import duckdb

    try:
        rows = database.execute(statement).fetchall()
    except duckdb.Error:
        return None
    return rows if " ORDER BY " in statement.upper() else sorted(rows, key=repr)


def agree(table: Table, values: Iterable[Value], database: Any, ask: Callable[[], list[Rows]]) -> bool:
    """Whether statements find the same in a database however it is filled, and something at least once.

    Rows hold what the statements name, and what is next to it: where none does, most wrong statements find the same.

    Args:
        table: names and values.
        values: those that the statements name.
        database: filled again and again.
        ask: what each statement finds in it now.
    """
    near, something = tuple(_near(values)), False
    for seed, rows in enumerate(SIZES):
        fill(database, table, seed, near, rows)
        first, *others = ask()
        if first is None or any(it != first for it in others):
            return False
        # No row, a count of none, or the sum of nothing: almost any wrong query finds that too.
        something = something or any(value not in (0, None) for row in first for value in row)
    return something


def _near(values: Iterable[Value]) -> Iterator[Value]:
    """Each value, and for a number and a day the ones before and behind it."""
    for value in list(dict.fromkeys(values))[:_NAMED]:
        if isinstance(value, int):
            yield from (value - 1, value, value + 1) if abs(value) < _LARGEST else ()
        elif day := _day(value):
            yield from (str(day + timedelta(days=by)) for by in (-1, 0, 1))
        else:
            yield value.strip("%")


def _day(value: str) -> date | None:
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def empty(settings: Mapping[str, str] | None = None) -> Any:
    """A database of DuckDB's in memory; settings are its own."""
    import duckdb

    return duckdb.connect(config=dict(settings or {}))


def fill(database: Any, table: Table, seed: int, near: Collection[Value] = (), rows: int = ROWS) -> None:
    """Made-up rows of a table, and of its other where it has one, in the place of those that are there.

    Args:
        database: DuckDB's.
        table: names and values.
        seed: of the rows.
        near: what every other value is drawn from, where a column takes it.
        rows: of the table; its other has as many as there are keys.
    """
    rng = random.Random(seed)
    shared = list(range(12))
    _fill(database, table.name, table.columns, table.key, [rng.choice(shared) for _ in range(rows)], near, rng)
    if table.other:
        _fill(database, table.other, table.beyond, table.key, shared, near, rng)


def _fill(
    database: Any, name: str, columns: tuple[Column, ...], key: str, keys: list[int], near: Collection[Value], rng: random.Random
) -> None:
    kinds = [f'"{c.name}" {c.kind or ("VARCHAR" if c.texts else "BIGINT")}' for c in columns] + ([f'"{key}" BIGINT'] if key else [])
    database.execute(f'CREATE OR REPLACE TABLE "{name}" ({", ".join(kinds)})')
    fitting = {c.name: [value for value in near if _takes(c, value)] for c in columns}
    rows: list[list[Value]] = [[_cell(c, fitting[c.name], rng) for c in columns] + ([k] if key else []) for k in keys]
    row = f"({', '.join('?' for _ in kinds)})"
    # In one statement: row by row takes a tenth of a second.
    database.execute(f'INSERT INTO "{name}" VALUES {", ".join([row] * len(rows))}', [value for values in rows for value in values])


def _cell(column: Column, near: list[Value], rng: random.Random) -> Value:
    return rng.choice(near) if near and rng.random() < 1 / 2 else column.draw(rng)


def _takes(column: Column, value: Value) -> bool:
    if column.kind:
        return column.kind == "DATE" and isinstance(value, str) and _day(value) is not None
    return isinstance(value, str) == bool(column.texts)
