"""Queries as small trees, and as plain SQL: what a dialect renders, and what is executed to compare two answers."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import final

from headstart.tasks.sql.schema import Table, Value

FOLDS = ("count", "sum", "mean", "most", "least")
"""What a head may compute, besides listing."""
TESTS = ("equal", "unequal", "above", "below", "between", "among", "starts")
"""What a condition may say."""
_SQL_FOLDS = {"count": "COUNT(*)", "sum": "SUM({})", "mean": "AVG({})", "most": "MAX({})", "least": "MIN({})"}
_SQL_TESTS = {"equal": "=", "unequal": "<>", "above": ">", "below": "<"}


@final
@dataclass(frozen=True)
class Condition:
    """A column tested against values: one, two for between, two or more for among."""

    column: str
    test: str
    values: tuple[Value, ...]


@final
@dataclass(frozen=True)
class Query:
    """A list of columns or one fold of a column; conditions; a grouping; an order; a limit."""

    table: str
    columns: tuple[str, ...] = ()
    fold: str = ""
    """One of FOLDS, of the first column; count has none. None: the columns are listed."""
    distinct: bool = False
    conditions: tuple[Condition, ...] = ()
    either: bool = False
    """Whether one condition is enough."""
    group: str = ""
    """The fold is made for each value of this column."""
    order: str = ""
    falling: bool = False
    limit: int = 0
    """0: all rows."""
    joined: bool = False
    """Whether the table is joined with its other."""

    def constructs(self) -> frozenset[str]:
        """What a dialect has to have words for, for this query."""
        words = {self.fold or ("distinct" if self.distinct else "list"), *(c.test for c in self.conditions)}
        if len(self.conditions) > 1:
            words.add("either" if self.either else "both")
        if self.order:
            words.add("falling" if self.falling else "rising")
        flags = {"group": self.group, "limit": self.limit, "join": self.joined}
        return frozenset(words | {word for word, on in flags.items() if on})


ALWAYS = ("list", "equal")
"""What every task's queries may use."""


def draw_constructs(rng: random.Random, table: Table) -> frozenset[str]:
    """What the queries of a task may use: six to ten constructs, few enough for ten examples to show each about twice."""
    words = {*ALWAYS, *rng.sample(TESTS, rng.randint(1, 3)), *rng.sample(FOLDS, rng.randint(1, 2))}
    words |= set(rng.choice((("rising", "limit"), ("falling", "limit"), ("rising", "falling", "limit"), ("falling",), ())))
    words |= {rng.choice(("both", "either"))} if rng.random() < 1 / 2 else set()
    words |= {"distinct"} if rng.random() < 1 / 4 else set()
    words |= {"group"} if rng.random() < 1 / 4 else set()
    words |= {"join"} if table.other and rng.random() < 2 / 3 else set()
    return frozenset(words)


def draw_query(table: Table, allowed: Collection[str], rng: random.Random) -> Query:
    """A query that needs none but the allowed constructs."""
    folds = [fold for fold in FOLDS if fold in allowed]
    fold = rng.choice(folds) if folds and rng.random() < 0.4 else ""
    joined = "join" in allowed and not fold and rng.random() < 0.4
    reach = [*table.columns, *(table.beyond if joined else ())]
    if fold:
        columns: tuple[str, ...] = () if fold == "count" else (rng.choice(table.numbers).name,)
    else:
        columns = tuple(c.name for c in rng.sample(reach, rng.choice((1, 1, 2, 2, 3))))
        if joined and not set(columns) & {c.name for c in table.beyond}:
            columns = (columns[0], rng.choice(table.beyond).name)
    distinct = "distinct" in allowed and len(columns) == 1 and not fold and rng.random() < 0.4
    group = rng.choice(table.texts).name if fold and "group" in allowed and rng.random() < 0.5 else ""
    conditions = _conditions(table, allowed, rng, 0 if group and rng.random() < 0.5 else rng.choice((0, 1, 1, 1, 2)))
    order, falling, limit = _order(table, allowed, rng) if not (fold or distinct) and rng.random() < (0.35 if conditions else 0.7) else NONE
    if not (conditions or order or group or fold or distinct) and rng.random() < 0.7:
        conditions = _conditions(table, allowed, rng, 1)
    either = len(conditions) > 1 and "either" in allowed
    return Query(table.name, columns, fold, distinct, conditions, either, group, order, falling, limit, joined)


NONE = ("", False, 0)


def _order(table: Table, allowed: Collection[str], rng: random.Random) -> tuple[str, bool, int]:
    ways = [way for way in ("rising", "falling") if way in allowed]
    if not ways:
        return NONE
    limit = rng.randint(1, 20) if "limit" in allowed and rng.random() < 0.7 else 0
    return rng.choice(table.numbers).name, rng.choice(ways) == "falling", limit


def _conditions(table: Table, allowed: Collection[str], rng: random.Random, count: int) -> tuple[Condition, ...]:
    if not {"both", "either"} & set(allowed):
        count = min(count, 1)
    drawn = [_condition(table, allowed, rng) for _ in range(count)]
    # Two conditions on one column contradict each other, or say one thing twice.
    return tuple({c.column: c for c in drawn}.values())


def _condition(table: Table, allowed: Collection[str], rng: random.Random) -> Condition:
    test = rng.choice([test for test in TESTS if test in allowed])
    if test in ("above", "below", "between"):
        column = rng.choice(table.numbers)
        if test == "between":
            return Condition(column.name, test, tuple(sorted(rng.sample(range(column.low, column.high + 1), 2))))
        return Condition(column.name, test, (column.draw(rng),))
    column = rng.choice(table.texts if test in ("among", "starts") or rng.random() < 0.8 else table.numbers)
    if test == "among":
        return Condition(column.name, test, tuple(rng.sample(column.texts, 2)))
    value = column.draw(rng)
    return Condition(column.name, test, (str(value)[: rng.randint(1, 2)] if test == "starts" else value,))


def sql(query: Query, table: Table) -> str:
    """The query in plain SQL, as DuckDB reads it."""
    head = _SQL_FOLDS[query.fold].format(_name(query.columns[0]) if query.columns else "") if query.fold else _list(query.columns)
    head = f"{_name(query.group)}, {head}" if query.group else f"DISTINCT {head}" if query.distinct else head
    parts = [f"SELECT {head}", f"FROM {_name(query.table)}"]
    parts += [f"JOIN {_name(table.other)} USING ({_name(table.key)})"] if query.joined else []
    parts += ["WHERE " + (" OR " if query.either else " AND ").join(map(_said, query.conditions))] if query.conditions else []
    parts += [f"GROUP BY {_name(query.group)}"] if query.group else []
    parts += [f"ORDER BY {_name(query.order)}{' DESC' if query.falling else ''}"] if query.order else []
    return " ".join(parts + ([f"LIMIT {query.limit}"] if query.limit else []))


def _said(condition: Condition) -> str:
    column, values = _name(condition.column), [_literal(v) for v in condition.values]
    if condition.test == "between":
        return f"{column} BETWEEN {values[0]} AND {values[1]}"
    if condition.test == "among":
        return f"{column} IN ({', '.join(values)})"
    if condition.test == "starts":
        return f"{column} LIKE '{_text(condition.values[0])}%'"
    return f"{column} {_SQL_TESTS[condition.test]} {values[0]}"


def _list(columns: Collection[str]) -> str:
    return ", ".join(map(_name, columns)) or "*"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: Value) -> str:
    return str(value) if isinstance(value, int) else f"'{_text(value)}'"


def _text(value: Value) -> str:
    return str(value).replace("'", "''")
