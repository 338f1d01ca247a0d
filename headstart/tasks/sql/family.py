"""Dialects as a family: one table or two, one way of writing queries, one user who asks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from headstart.episode import Example
from headstart.errors import TasksError
from headstart.tasks.family import Lesson, Split, side_for
from headstart.tasks.sql.check import Same
from headstart.tasks.sql.dialect import draw_dialect
from headstart.tasks.sql.english import ask, draw_voice
from headstart.tasks.sql.query import Query, draw_constructs, draw_query
from headstart.tasks.sql.schema import Table, draw_table

_PROBES, _CANDIDATES, _PATIENCE = 12, 12, 2000


@final
@dataclass(frozen=True)
class Dialects:
    """Made-up query languages over made-up tables, keywords from an open vocabulary, but for one in ten that is SQL's own in every split.

    Test and validation dialects have words, tables and values of their own, but for the twenty words that a column's name may begin
    with, and of the options of writing half are their own too.
    The check reads an answer back and executes it on DuckDB.
    """

    seed: int = 0

    def lesson(self, split: Split, number: int, shots: int, queries: int) -> Lesson:
        """Task `number` of a split, as `Family` has it.

        Raises:
            TasksError: the task's table has not so many different queries.
        """
        wanted = side_for(split)
        rng = random.Random(f"dialects {self.seed} {split} {number}")
        table, voice = draw_table(rng, wanted), draw_voice(rng)
        allowed = draw_constructs(rng, table)
        probes = [draw_query(table, allowed, rng) for _ in range(_PROBES)]
        dialect = draw_dialect(rng, wanted)
        # A dialect in which two queries may read alike is nobody's.
        while not all(dialect.writes(probe, table) for probe in probes):
            dialect = draw_dialect(rng, wanted)
        asked, shown = (random.Random(rng.random()) for _ in range(2))
        query = _distinct(table, allowed, asked, frozenset(), queries)
        support = _covering(table, allowed, shown, frozenset(query), shots)

        def example(it: Query) -> Example:
            # By the query alone, so that one more or less in front changes no phrase.
            phrase = random.Random(f"{self.seed} {split} {number} {it}")
            return Example.pair(ask(it, table, voice, phrase), dialect.render(it, table))

        return Lesson(tuple(map(example, support)), tuple(map(example, query)), Same(dialect, table))


def _distinct(table: Table, allowed: frozenset[str], rng: random.Random, but: frozenset[Query], count: int) -> list[Query]:
    fresh = _fresh(table, allowed, rng, set(but))
    return [next(fresh) for _ in range(count)]


def _covering(table: Table, allowed: frozenset[str], rng: random.Random, but: frozenset[Query], count: int) -> list[Query]:
    """Queries that show each construct early: of several candidates always the one whose constructs were shown least."""
    taken, shown = set(but), dict.fromkeys(allowed, 0)
    fresh, found = _fresh(table, allowed, rng, taken), []
    for _ in range(count):
        pool = [next(fresh) for _ in range(_CANDIDATES)]
        best = min(pool, key=lambda q: (sum(shown.get(w, 0) for w in q.constructs()) + 1) / len(q.constructs()))
        taken.difference_update(q for q in pool if q != best)
        for word in best.constructs():
            shown[word] = shown.get(word, 0) + 1
        found.append(best)
    return found


def _fresh(table: Table, allowed: frozenset[str], rng: random.Random, taken: set[Query]) -> Iterator[Query]:
    """Queries that were not taken, each taken as it comes."""
    tried = 0
    while tried < _PATIENCE:
        drawn = draw_query(table, allowed, rng)
        tried += 1
        if drawn not in taken:
            taken.add(drawn)
            tried = 0
            yield drawn
    raise TasksError(f"A table of {len(table.columns)} columns has too few different queries: ask for fewer examples of a task.")
