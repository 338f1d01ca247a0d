"""Real engines as a family: T-SQL, BigQuery, Oracle and others, as sqlglot writes them; one engine and one house's habits a task."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any, final

from headstart.episode import Example
from headstart.errors import TasksError
from headstart.tasks.family import Lesson, Split, side_for
from headstart.tasks.sql.english import Voice, ask, draw_voice
from headstart.tasks.sql.query import Query, draw_constructs, draw_query, sql
from headstart.tasks.sql.ran import Ran
from headstart.tasks.sql.schema import Table, draw_table
from headstart.tasks.sql.twists import HEADS, TESTS, Twist, draw_twist, widened
from headstart.tasks.words import Side

ENGINES: dict[Side, tuple[str, ...]] = {
    "train": tuple(
        "mysql doris starrocks singlestore postgres redshift risingwave materialize hive spark databricks presto trino athena sqlite drill "
        "druid exasol".split()
    ),
    "validation": ("clickhouse", "teradata"),
    "test": ("tsql", "fabric", "bigquery", "oracle", "snowflake"),
}
"""By split. Those that write alike, as Presto, Trino and Athena do, are in one."""
_HOLE = "qxholexq"
_CANDIDATES, _PATIENCE, _PLAIN = 8, 400, 0.25


@final
@dataclass(frozen=True)
class Asked:
    """A question with its answer in DuckDB's words, and what the answer needs."""

    question: str
    sql: str
    needs: frozenset[str]


@final
@dataclass(frozen=True)
class Engines:
    """sqlglot's own dialects over made-up tables, in questions that bring out how they differ; most answers are no plain SQL.

    Every answer is read back by sqlglot and finds what was asked for, or reads as it was written where DuckDB cannot run it.
    """

    seed: int = 0

    def lesson(self, split: Split, number: int, shots: int, queries: int) -> Lesson:
        """Task `number` of a split, as `Family` has it.

        Raises:
            TasksError: the task's table has not so many different queries; or sqlglot is not installed.
        """
        _need_tools()
        wanted = side_for(split)
        rng = random.Random(f"engines {self.seed} {split} {number}")
        table, voice, engine = draw_table(rng, wanted), draw_voice(rng), rng.choice(ENGINES[wanted])
        check = Ran(engine, widened(rng, table, wanted))
        task = _Task(table, check, voice, _tools(rng, check), draw_constructs(rng, table), rng.random() < 0.6)
        asked, shown = (random.Random(rng.random()) for _ in range(2))
        taken: set[str] = set()
        query = [task.next(asked, taken, {}) for _ in range(queries)]
        counts: dict[str, int] = {}
        support = [task.next(shown, taken, counts) for _ in range(shots)]
        return Lesson(tuple(support), tuple(query), check)


@final
@dataclass(frozen=True)
class _Task:
    """All that a task's questions have in common."""

    table: Table
    check: Ran
    voice: Voice
    tools: tuple[str, ...]
    allowed: frozenset[str]
    quoted: bool
    """Whether every name is quoted, as some houses have it."""

    def next(self, rng: random.Random, taken: set[str], counts: dict[str, int]) -> Example:
        """A further example, of some candidates the one whose needs were shown least; notes what it takes and shows.

        Raises:
            TasksError: there is none.
        """
        for _ in range(_PATIENCE):
            drawn = [self._asked(rng) for _ in range(_CANDIDATES)]
            for best in sorted(drawn, key=lambda it: (sum(counts.get(w, 0) for w in it.needs) + 1) / len(it.needs)):
                answer = None if best.question in taken else self._answer(best)
                if answer is not None and answer not in taken:
                    taken |= {best.question, answer}
                    counts.update({w: counts.get(w, 0) + 1 for w in best.needs})
                    return Example.pair(best.question, answer)
        raise TasksError(f"A table of {len(self.table.columns)} columns has too few different queries: ask for fewer examples of a task.")

    def _asked(self, rng: random.Random) -> Asked:
        query = draw_query(self.table, self.allowed, rng)
        if rng.random() < _PLAIN:
            return Asked(ask(query, self.table, self.voice, rng), sql(query, self.table), query.constructs())
        twist = draw_twist(rng.choice(self.tools), self.check.table, rng)
        return _headed(query, twist, self, rng) if twist.name in HEADS else _tested(query, twist, self, rng)

    def _answer(self, asked: Asked) -> str | None:
        """The engine's words; None where sqlglot does not read its own writing."""
        import sqlglot
        from sqlglot.errors import SqlglotError

        try:
            tree = sqlglot.parse_one(asked.sql, read="duckdb")
            text = _written(tree, self.check.engine, self.quoted)
            back = self.check.read(text)
            if back is None or _written(back, self.check.engine, self.quoted) != text:
                return None
        except SqlglotError:
            return None
        found = self.check.found(back)
        return text if found is None or found == self.check.found(tree) else None


def _headed(query: Query, twist: Twist, task: _Task, rng: random.Random) -> Asked:
    """The query with an expression in the place of its columns; a fold and its grouping go."""
    bare = replace(query, columns=(_HOLE,), fold="", group="", distinct=False, joined=False)
    question = ask(bare, task.table, task.voice, rng).replace(f"the {_HOLE}", twist.phrase).replace(_HOLE, twist.phrase)
    return Asked(question, sql(bare, task.table).replace(f'"{_HOLE}"', twist.sql), bare.constructs() | {twist.name})


def _tested(query: Query, twist: Twist, task: _Task, rng: random.Random) -> Asked:
    """The query with this condition in the place of its own; a join and a grouping go, which would stand on either side of it."""
    columns = (task.table.columns[0].name,) if query.joined else query.columns
    plain = replace(query, columns=columns, conditions=(), either=False, joined=False, group="")
    before = sql(replace(plain, order="", limit=0), task.table)
    behind = sql(plain, task.table).removeprefix(before)
    question = ask(plain, task.table, replace(task.voice, mark=""), rng)
    needs = plain.constructs() | {twist.name}
    return Asked(f"{question}, only those {twist.phrase}{task.voice.mark}", f"{before} WHERE {twist.sql}{behind}", needs)


def _tools(rng: random.Random, check: Ran) -> tuple[str, ...]:
    """Four twists, three of which the engine writes in another way than plain SQL has it, as far as there are so many."""
    names = rng.sample((*HEADS, *TESTS), len(HEADS) + len(TESTS))
    own = [name for name in names if _differs(draw_twist(name, check.table, random.Random(0)), check.engine)]
    return tuple(dict.fromkeys((*own[:3], *names)))[:4]


def _differs(twist: Twist, engine: str) -> bool:
    import sqlglot

    tree = sqlglot.parse_one(f"SELECT {twist.sql}", read="duckdb")
    return _written(tree, engine, False) != _written(tree, "duckdb", False)


def _written(tree: Any, engine: str, quoted: bool) -> str:
    """A tree in an engine's words. No column holds nulls, so none is told where to put them."""
    from sqlglot import exp
    from sqlglot.dialects.dialect import Dialect

    tree, nulls = tree.copy(), Dialect.get_or_raise(engine).NULL_ORDERING
    for ordered in tree.find_all(exp.Ordered):
        falling = bool(ordered.args.get("desc"))
        ordered.set("nulls_first", {"nulls_are_small": not falling, "nulls_are_large": falling}.get(nulls, False))
    for name in tree.find_all(exp.Identifier):
        name.set("quoted", quoted)
    return str(tree.sql(dialect=engine))


def _need_tools() -> None:
    try:
        import duckdb  # noqa: F401
        import sqlglot  # noqa: F401
    except ImportError as error:
        raise TasksError(
            f"Real engines' SQL is written by sqlglot and run by DuckDB; {error.name} is not installed: pip install 'headstart[tasks]'."
        ) from error
