"""Made-up SQL dialects: questions about one table, answered in a query language no base has seen.

A dialect is its words and nothing else; a query is a small tree; both are drawn from a seed, so a
task is reproduced from two integers. Equality of strings is the check: rendering is canonical.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from headstart.episode import Example


@dataclass(frozen=True)
class Table:
    """One table: numeric columns take ranges and order, text columns take values to match."""

    name: str
    numbers: tuple[tuple[str, int, int], ...]
    """(column, lowest, highest)"""
    texts: tuple[tuple[str, tuple[str, ...]], ...]
    """(column, values)"""

    @property
    def columns(self) -> tuple[str, ...]:
        """All column names, texts first."""
        return tuple(c for c, _ in self.texts) + tuple(c for c, _, _ in self.numbers)


@dataclass(frozen=True)
class Dialect:
    """The words of one dialect; `{}` marks where an argument goes."""

    select: str
    source: str
    where: str
    equal: str
    above: str
    below: str
    rising: str
    falling: str
    limit: str
    count: str
    mean: str
    end: str


@dataclass(frozen=True)
class Query:
    """What is asked: a column list, a count or a mean; at most one condition; an order with a limit."""

    columns: tuple[str, ...]
    fold: str = ""
    """'' | 'count' | 'mean' (of the first column)"""
    condition: tuple[str, str, str | int] | None = None
    """(column, 'equal' | 'above' | 'below', value)"""
    order: tuple[str, str, int] | None = None
    """(column, 'rising' | 'falling', how many)"""

    def constructs(self) -> frozenset[str]:
        """The dialect's words that this query needs."""
        words = {self.fold or "select"}
        if self.condition:
            words.add(self.condition[1])
        if self.order:
            words.add(self.order[1])
        return frozenset(words)


TABLES = (
    Table(
        "crew",
        (("salary", 20, 90), ("age", 19, 65)),
        (("name", ("Ada", "Bo", "Cy")), ("dept", ("ops", "sales", "legal")), ("city", ("Oslo", "Rome", "Lima"))),
    ),
    Table(
        "orders",
        (("total", 10, 900), ("items", 1, 40)),
        (("client", ("Acme", "Zeta", "Mono")), ("status", ("open", "paid", "late")), ("region", ("north", "south", "west"))),
    ),
    Table(
        "films",
        (("year", 1950, 2024), ("rating", 1, 10)),
        (("title", ("Alien", "Brazil", "Heat")), ("genre", ("drama", "horror", "comedy")), ("country", ("France", "Japan", "India"))),
    ),
    Table(
        "sensors",
        (("temp", 5, 80), ("load", 1, 99)),
        (("label", ("A1", "B2", "C3")), ("zone", ("roof", "yard", "lab")), ("state", ("idle", "hot", "off"))),
    ),
)

_WORDS = {
    "select": ("PULL {}", "GIMME <{}>", "out[{}]", "reap {}", "SHOW ({})", "@get {}"),
    "source": ("OUT OF {}", "IN {}", "<- {}", "~{}", "off {}", "AT TABLE {}"),
    "where": ("WHEN {}", "IF {}", "?? {}", "such {}", "KEEP {}", "| {}"),
    "equal": ("{} IS {}", "{} =: {}", "{} same {}", "{} eq<{}>", "{} ~= {}"),
    "above": ("{} OVER {}", "{} >> {}", "{} tops {}", "{} gt<{}>", "{} PAST {}"),
    "below": ("{} UNDER {}", "{} << {}", "{} dips {}", "{} lt<{}>", "{} SHY OF {}"),
    "rising": ("UP {}", "/\\ {}", "climb {}", "ASC:{}", "low-first {}"),
    "falling": ("DOWN {}", "\\/ {}", "sink {}", "DSC:{}", "high-first {}"),
    "limit": ("CAP {}", "#{}", "first {}", "HEAD({})", "only {}"),
    "count": ("TALLY", "HOWMANY", "n()", "##", "NUM(*)"),
    "mean": ("AVGOF {}", "mid({})", "MEANOF<{}>", "typical {}", "%%{}"),
    "end": ("", ";;", " !", " END", " ."),
}

_ASK = {
    "list": ("List {columns} of {table}", "Show me {columns} for {table}", "What are {columns} of {table}", "Give {columns} from {table}"),
    "count": ("How many {table} are there", "Count the {table}", "Number of {table}"),
    "mean": ("What is the average {columns} of {table}", "Average {columns} for {table}", "Mean {columns} of {table}"),
    "equal": ("where {0} is {1}", "with {0} {1}", "whose {0} is {1}"),
    "above": ("with {0} above {1}", "where {0} is more than {1}", "whose {0} exceeds {1}"),
    "below": ("with {0} below {1}", "where {0} is less than {1}", "whose {0} is under {1}"),
    "rising": ("the {1} with the lowest {0}", "the bottom {1} by {0}", "lowest {0} first, just {1}"),
    "falling": ("the {1} with the highest {0}", "the top {1} by {0}", "highest {0} first, just {1}"),
}


def draw_dialect(seed: int) -> Dialect:
    """A dialect, every word drawn independently."""
    rng = random.Random(f"dialect {seed}")
    return Dialect(**{slot: rng.choice(words) for slot, words in _WORDS.items()})


def draw_query(table: Table, rng: random.Random) -> Query:
    """A query over `table`: two in three have a condition, one in three lists an order and limit."""
    fold = rng.choice(("", "", "", "count", "mean"))
    numbers = {name: (low, high) for name, low, high in table.numbers}
    texts = dict(table.texts)
    columns = tuple(rng.sample(table.columns, rng.choice((1, 2)))) if not fold else (rng.choice(list(numbers)),)
    condition: tuple[str, str, str | int] | None = None
    if rng.random() < 2 / 3 or fold:
        kind = rng.choice(("equal", "above", "below"))
        column = rng.choice(list(texts if kind == "equal" else numbers))
        condition = (column, kind, rng.choice(texts[column]) if kind == "equal" else rng.randint(*numbers[column]))
    order = None
    if not fold and (condition is None or rng.random() < 1 / 4):
        order = (rng.choice(list(numbers)), rng.choice(("rising", "falling")), rng.randint(2, 9))
    # A count names no column: two that differed in one would be the same question.
    return Query(() if fold == "count" else columns, fold, condition, order)


def render(query: Query, table: Table, dialect: Dialect) -> str:
    """The query in the dialect: the one right answer."""
    if query.fold == "count":
        head = dialect.count
    elif query.fold == "mean":
        head = dialect.mean.format(query.columns[0])
    else:
        head = dialect.select.format(", ".join(query.columns))
    parts = [head, dialect.source.format(table.name)]
    if query.condition:
        column, kind, value = query.condition
        parts.append(dialect.where.format(getattr(dialect, kind).format(column, f"'{value}'" if isinstance(value, str) else value)))
    if query.order:
        column, way, limit = query.order
        parts += [getattr(dialect, way).format(column), dialect.limit.format(limit)]
    return " ".join(parts) + dialect.end


def ask(query: Query, table: Table, rng: random.Random) -> str:
    """The query as a question in English, phrased at random."""
    line = rng.choice(_ASK[query.fold or "list"]).format(columns=" and ".join(query.columns), table=table.name)
    if query.condition:
        column, kind, value = query.condition
        line += " " + rng.choice(_ASK[kind]).format(column, value)
    if query.order:
        column, way, limit = query.order
        line += ", " + rng.choice(_ASK[way]).format(column, limit)
    return line


def draw_task(seed: int, support: int, query: int) -> tuple[list[Example], list[Example]]:
    """A dialect over one table: `support` examples and `query` further ones, no query in both.

    The support covers every construct that the drawn queries use as far as its size allows, as a sensible user's
    would: of several candidates the one that shows the most constructs not yet shown is taken.
    """
    rng = random.Random(f"task {seed}")
    table, dialect = rng.choice(TABLES), draw_dialect(seed)
    shown: dict[str, int] = {}
    taken: dict[Query, Example] = {}
    fresh = _fresh(table, rng, taken)
    for _ in range(support):
        candidates = [next(fresh) for _ in range(20)]
        best = min(candidates, key=lambda q: sum(shown.get(w, 0) for w in q.constructs()) / len(q.constructs()))
        for word in best.constructs():
            shown[word] = shown.get(word, 0) + 1
        taken[best] = Example.pair(ask(best, table, rng), render(best, table, dialect))
    examples = list(taken.values())
    unseen = []
    for _ in range(query):
        drawn = next(fresh)
        taken[drawn] = Example.pair(ask(drawn, table, rng), render(drawn, table, dialect))
        unseen.append(taken[drawn])
    rng.shuffle(examples)
    return examples, unseen


def _fresh(table: Table, rng: random.Random, taken: dict[Query, Example]) -> Iterator[Query]:
    """Queries that have not been taken; the tables have thousands, so this ends only when its reader does."""
    while True:
        drawn = draw_query(table, rng)
        if drawn not in taken:
            yield drawn
