"""What real engines write in their own ways: functions, casts, dates, truth values and joined texts, as additions to a plain query."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import final

from headstart.tasks.sql.schema import Column, Table
from headstart.tasks.words import Side, side

_DATES = """joined_on due_date start_date end_date signed_on sent_on paid_on opened_on closed_on created_at shipped_on booked_on hired_on
born_on issued_on expires_on checked_on last_seen""".split()
_FLAGS = """is_open is_active is_paid verified approved archived is_new is_public hidden locked insured is_member certified is_full licensed
is_local blocked is_remote""".split()
_DAYS = tuple(f"{year}-{month:02}-{day:02}" for year, month, day in zip(range(2016, 2026), range(2, 12), range(3, 30, 2), strict=False))
_TRUTHS = ("true", "false")

HEADS = {
    "joined": ("{t} and {s} joined by a dash|{t}, a dash and {s} as one text", "{T} || '-' || {S}"),
    "text": ("{n} as text|{n} turned into text", "CAST({N} AS TEXT)"),
    "float": ("{n} as a floating-point number|{n} turned into a float", "CAST({N} AS DOUBLE)"),
    "upper": ("{t} in capitals|{t} in upper case", "UPPER({T})"),
    "length": ("the length of {t}|how long {t} is", "LENGTH({T})"),
    "first": ("the first three letters of {t}|the leading three letters of {t}", "SUBSTRING({T}, 1, 3)"),
    "year": ("the year of {d}", "EXTRACT(YEAR FROM {D})"),
    "month": ("the month of {d}", "EXTRACT(MONTH FROM {D})"),
    "later": ("the day a week after {d}|{d} plus seven days", "{D} + INTERVAL '7' DAY"),
    "days": ("the days from {d} to {day}", "DATE_DIFF('DAY', {D}, CAST('{day}' AS DATE))"),
    "rest": ("the remainder of {n} by {few}|{n} modulo {few}", "{N} % {few}"),
}
"""What may stand in the place of columns: phrases, and DuckDB's expression. {t}, {n}, {d}, {f}: a text, a number, a date, a truth value."""
TESTS = {
    "true": ("where {f} is true|for which {f} holds", "{F} = TRUE"),
    "untrue": ("where {f} is false|for which {f} does not hold", "{F} = FALSE"),
    "after": ("with {d} after {day}|where {d} is later than {day}", "{D} > CAST('{day}' AS DATE)"),
    "holds": ("whose {t} contains {bit} in any case|with {bit} somewhere in {t}, whatever the case", "{T} ILIKE '%{bit}%'"),
    "in year": ("with {d} in {year}|where the year of {d} is {year}", "EXTRACT(YEAR FROM {D}) = {year}"),
}
"""Further conditions, likewise."""


@final
@dataclass(frozen=True)
class Twist:
    """One addition."""

    name: str
    """Of HEADS or TESTS."""
    phrase: str
    sql: str


def widened(rng: random.Random, table: Table, wanted: Side) -> Table:
    """A table with a column of dates and one of truth values more, in this order, at the end."""
    date, flag = (rng.choice(side(names, wanted)) for names in (_DATES, _FLAGS))
    more = Column(date, _DAYS, kind="DATE"), Column(flag, _TRUTHS, kind="BOOLEAN")
    return replace(table, columns=(*table.columns, *more))


def draw_twist(name: str, table: Table, rng: random.Random) -> Twist:
    """One by name, of the columns of a widened table."""
    *_, date, flag = table.columns
    texts = [c for c in table.texts if not c.kind]
    first, second = rng.choice(texts), rng.choice((*texts, *texts, *table.numbers)[1:])
    columns = {"t": first, "s": second, "n": rng.choice(table.numbers), "d": date, "f": flag}
    value, day = str(first.draw(rng)), str(date.draw(rng))
    start = rng.randrange(max(1, len(value) - 2))
    filled = {hole: c.name for hole, c in columns.items()} | {hole.upper(): f'"{c.name}"' for hole, c in columns.items()}
    filled |= {"day": day, "year": day[:4], "few": str(rng.randint(2, 5)), "bit": value[start : start + 3]}
    if not second.texts:
        filled["S"] = f"CAST({filled['S']} AS TEXT)"
    phrases, sql = {**HEADS, **TESTS}[name]
    return Twist(name, rng.choice(phrases.split("|")).format(**filled), sql.format(**filled))
