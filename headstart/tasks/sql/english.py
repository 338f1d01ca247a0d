"""Queries as questions in English, phrased at random; a question names every part of its query."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from headstart.tasks.sql.query import Condition, Query
from headstart.tasks.sql.schema import Table

_LIST = """List {c} of {t}|Show {c} of {t}|Show me {c} for {t}|What are {c} of {t}|Give {c} from {t}|Give me {c} of all {t}
Get {c} for the {t}|Find {c} of the {t}|I need {c} of {t}|Return {c} for {t}|Which {c} do {t} have
Display {c} of each of the {t}|Tell me {c} of {t}|Print {c} for all {t}|{c} of {t}"""
_DISTINCT = """List the different {c} of {t}|What distinct {c} do {t} have|Show every {c} of {t} once|All unique {c} among {t}
Which different values of {c} are there in {t}"""
_FOLDS = {
    "count": """How many {t} are there|Count the {t}|Number of {t}|What is the number of {t}|How many {t}|Give the count of {t}
Tell me how many {t} there are""",
    "sum": """What is the total {c} of {t}|Total {c} of {t}|Sum of {c} over {t}|Add up {c} of all {t}|Give the summed {c} for {t}""",
    "mean": """What is the average {c} of {t}|Average {c} for {t}|Mean {c} of {t}|Find the average {c} of the {t}
How large is {c} of {t} on average""",
    "most": """What is the highest {c} of {t}|Maximum {c} of {t}|Largest {c} among {t}|Find the greatest {c} of the {t}
The top {c} of any of the {t}""",
    "least": """What is the lowest {c} of {t}|Minimum {c} of {t}|Smallest {c} among {t}|Find the least {c} of the {t}
The bottom {c} of any of the {t}""",
}
_TESTS = {
    "equal": """where {c} is {v}|with {c} {v}|whose {c} is {v}|that have {c} {v}|having {c} equal to {v}|with {v} as {c}""",
    "unequal": """where {c} is not {v}|whose {c} is not {v}|with {c} other than {v}|that do not have {c} {v}|with any {c} but {v}""",
    "above": """with {c} above {v}|where {c} is more than {v}|whose {c} exceeds {v}|with {c} greater than {v}|with {c} over {v}
having more than {v} {c}""",
    "below": """with {c} below {v}|where {c} is less than {v}|whose {c} is under {v}|with {c} smaller than {v}|with {c} under {v}
having less than {v} {c}""",
    "between": """with {c} between {v} and {w}|where {c} is from {v} to {w}|whose {c} lies between {v} and {w}
with {c} in the range {v} to {w}""",
    "among": """where {c} is {v} or {w}|whose {c} is either {v} or {w}|with {c} {v} or {w}|with {c} one of {v} and {w}""",
    "starts": """whose {c} starts with {v}|where {c} begins with {v}|with {c} starting with {v}|with a {c} that begins with {v}""",
}
_GROUP = "for each {g}|per {g}|by {g}|grouped by {g}|for every {g}"
_JOIN = "with their {o}|joined with {o}|together with their {o}|and the {o} they belong to|along with {o}"
_RISING = "sorted by {c}|in ascending order of {c}|ordered by {c} from low to high|lowest {c} first|by increasing {c}"
_FALLING = "sorted by {c} descending|in descending order of {c}|ordered by {c} from high to low|highest {c} first|by decreasing {c}"
_LIMIT = "just {n}|only {n}|the first {n}|at most {n}|{n} of them"
_BOTTOM = "the {n} with the lowest {c}|the bottom {n} by {c}|the {n} smallest by {c}"
_TOP = "the {n} with the highest {c}|the top {n} by {c}|the {n} largest by {c}"


@final
@dataclass(frozen=True)
class Voice:
    """How one user asks: an instruction in front or none, the schema shown or not, names as they are or in plain words."""

    before: str
    schema: bool
    plain: bool
    mark: str
    """Behind a question."""


def draw_voice(rng: random.Random) -> Voice:
    """Most users just ask."""
    before = rng.choice(("", "", "", "", "", "Translate to our query language: ", "Query: ", "Write the query. "))
    return Voice(before, rng.random() < 0.15, rng.random() < 0.5, rng.choice(("", "", "?", ".")))


def ask(query: Query, table: Table, voice: Voice, rng: random.Random) -> str:
    """A question that has this query as its one answer."""

    def name(column: str) -> str:
        return _plain(column) if voice.plain else column

    columns = _and([name(c) for c in query.columns])
    heads = _FOLDS[query.fold] if query.fold else _DISTINCT if query.distinct else _LIST
    line = _pick(heads, rng).format(c=columns if query.fold or query.distinct or rng.random() < 0.7 else f"the {columns}", t=query.table)
    if query.joined:
        line += " " + _pick(_JOIN, rng).format(o=table.other)
    if query.group and rng.random() < 0.5:
        line += " " + _pick(_GROUP, rng).format(g=name(query.group))
        line += _conditions(query, name, rng)
    else:
        line += _conditions(query, name, rng)
        line += " " + _pick(_GROUP, rng).format(g=name(query.group)) if query.group else ""
    line += _order(query, name, rng)
    shown = f"{table_line(table)}\n" if voice.schema else ""
    return shown + voice.before + line + voice.mark


def table_line(table: Table) -> str:
    """The schema in a line."""
    here = f"{table.name}({', '.join(c.name for c in table.columns)})"
    return f"{here}; {table.other}({', '.join(c.name for c in table.beyond)})" if table.other else here


def _conditions(query: Query, name: Callable[[str], str], rng: random.Random) -> str:
    said = [_condition(c, name, rng) for c in query.conditions]
    return " " + (" or " if query.either else " and ").join(said) if said else ""


def _condition(condition: Condition, name: Callable[[str], str], rng: random.Random) -> str:
    first, *second = condition.values
    return _pick(_TESTS[condition.test], rng).format(c=name(condition.column), v=first, w=second[0] if second else "")


def _order(query: Query, name: Callable[[str], str], rng: random.Random) -> str:
    if not query.order:
        return ""
    column = name(query.order)
    if query.limit and rng.random() < 0.6:
        return ", " + _pick(_TOP if query.falling else _BOTTOM, rng).format(n=query.limit, c=column)
    sorted_by = _pick(_FALLING if query.falling else _RISING, rng).format(c=column)
    return f", {sorted_by}" + (f", {_pick(_LIMIT, rng).format(n=query.limit)}" if query.limit else "")


def _pick(phrases: str, rng: random.Random) -> str:
    return rng.choice(phrases.replace("\n", "|").split("|"))


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" and {names[-1]}" if names else ""


def _plain(name: str) -> str:
    """unit_price and unitPrice as unit price."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).replace("_", " ").strip()
