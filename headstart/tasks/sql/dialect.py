"""A dialect: how each construct is written; queries to text, and text back to queries."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

from headstart.tasks.sql import options
from headstart.tasks.sql.invented import option, order, symbol
from headstart.tasks.sql.query import FOLDS, TESTS, Condition, Query, sql
from headstart.tasks.sql.schema import Table, Value
from headstart.tasks.words import Side, draw_word, side

_WORD = "[A-Za-z0-9_-]+"


@final
@dataclass(frozen=True)
class Dialect:
    """Templates with holes $A and $B."""

    words: Mapping[str, str]
    """Construct -> template; those of list, distinct and folds are whole heads."""
    order: tuple[str, ...]
    """Clauses: head source join where group order limit."""
    between: str
    """Between clauses."""
    listed: str
    """Between columns."""
    column: str
    table: str
    quote: str
    span: str
    """Of two numbers."""
    many: str
    """Of two texts."""
    end: str

    def render(self, query: Query, table: Table) -> str:
        """The query in this dialect: the one right answer."""
        said = {
            "head": self._head(query),
            "source": put(self.words["source"], put(self.table, query.table)),
            "join": put(self.words["join"], put(self.table, table.other)) if query.joined else "",
            "where": put(self.words["where"], self._conditions(query)) if query.conditions else "",
            "group": put(self.words["group"], put(self.column, query.group)) if query.group else "",
            "order": put(self.words["falling" if query.falling else "rising"], put(self.column, query.order)) if query.order else "",
            "limit": put(self.words["limit"], str(query.limit)) if query.limit else "",
        }
        return self.between.join(said[clause] for clause in self.order if said[clause]) + self.end

    def plain(self, text: str, table: Table) -> str | None:
        """A text as plain SQL; None where it is no query."""
        query = self.parse(text)
        return None if query is None else sql(query, table)

    def writes(self, query: Query, table: Table) -> bool:
        """Whether a query can be read back from what is written of it."""
        return self.plain(self.render(query, table), table) == sql(query, table)

    def parse(self, text: str) -> Query | None:
        """The query that a text says, whatever blank space it has between its parts; None where it says none."""
        found = self._grammar.fullmatch(_spaced(text.strip()))
        if found is None:
            return None
        parts = {name: value for name, value in found.groupdict().items() if value is not None}
        head = next(name for name in self._heads if name in parts)
        told, either = self._conditions_of(parts.get("where", ""))
        conditions = tuple(condition for condition in told if condition is not None)
        if len(conditions) < len(told):
            # A joint stood inside a condition: the text may be read in two ways.
            return None
        by = parts.get("falling", parts.get("rising", ""))
        return Query(
            self._inside(self.table, parts["source"]),
            tuple(self._inside(self.column, c) for c in parts[head].split(_spaced(self.listed))) if head != "count" else (),
            head if head in FOLDS else "",
            head == "distinct",
            conditions,
            either,
            self._inside(self.column, parts["group"]) if "group" in parts else "",
            self._inside(self.column, by) if by else "",
            "falling" in parts,
            int(parts.get("limit", 0)),
            "join" in parts,
        )

    @cached_property
    def _heads(self) -> dict[str, str]:
        return {name: self.words[name] for name in ("list", "distinct", *FOLDS)}

    def _head(self, query: Query) -> str:
        if query.fold == "count":
            return self.words["count"]
        listed = self.listed.join(put(self.column, c) for c in query.columns)
        return put(self.words[query.fold or ("distinct" if query.distinct else "list")], listed)

    def _conditions(self, query: Query) -> str:
        joint = self.words["either" if query.either else "both"]
        return joint.join(self._condition(c) for c in query.conditions)

    def _condition(self, condition: Condition) -> str:
        values = [put(self.quote, v) if isinstance(v, str) else str(v) for v in condition.values]
        template = {"between": self.span, "among": self.many}.get(condition.test, "$A")
        return put(self.words[condition.test], put(self.column, condition.column), put(template, *values))

    @cached_property
    def _grammar(self) -> re.Pattern[str]:
        """The whole query, a group for what stands in each clause; names and values are words, so nothing is read in two ways."""
        column, table = (_pattern(template, _WORD) for template in (self.column, self.table))
        columns = f"{column}(?:{re.escape(_spaced(self.listed))}{column})*"
        joints = "|".join(re.escape(self.words[name]) for name in ("both", "either"))
        test = "|".join(pattern for _, pattern in self._tests)
        inside = {"source": table, "join": table, "where": f"(?:{test})(?:(?:{joints})(?:{test}))*", "group": column, "limit": "[0-9]+"}
        inside |= dict.fromkeys(("falling", "rising"), column) | dict.fromkeys(self._heads, columns) | {"count": ""}
        said = {name: _pattern(self.words[name], f"(?P<{name}>{held})") for name, held in inside.items()}
        said["count"] = f"(?P<count>{_pattern(self.words['count'], '')})"
        said |= {"head": "|".join(said[name] for name in self._heads), "order": f"{said['falling']}|{said['rising']}"}
        joint = re.escape(_spaced(self.between))
        first, *later = self.order
        rest = [f"(?:{joint}(?:{said[clause]}))" + ("" if clause in ("head", "source") else "?") for clause in later]
        return re.compile(f"(?:{said[first]})" + "".join(rest) + re.escape(_spaced(self.end.rstrip())))

    @cached_property
    def _tests(self) -> list[tuple[str, str]]:
        """Each test, and its pattern."""
        value = f"(?:-?[0-9]+|{_pattern(self.quote, _WORD)})"
        values = {"between": _pattern(self.span, value, value), "among": _pattern(self.many, value, value)}
        return [(test, _pattern(self.words[test], _pattern(self.column, _WORD), values.get(test, value))) for test in TESTS]

    def _conditions_of(self, text: str) -> tuple[tuple[Condition | None, ...], bool]:
        """Conditions, None for each that is none, and whether one is enough."""
        both, either = (self.words[name] for name in ("both", "either"))
        parts = [part for some in text.split(both) for part in some.split(either)]
        return tuple(self._condition_of(part) for part in parts if part), either in text

    def _condition_of(self, text: str) -> Condition | None:
        test = next((test for test, pattern in self._tests if re.fullmatch(pattern, text)), None)
        if test is None:
            return None
        value, span = f"(-?[0-9]+|{_pattern(self.quote, _WORD)})", {"between": self.span, "among": self.many}.get(test)
        pattern = _pattern(self.words[test], f"({_pattern(self.column, _WORD)})", _pattern(span, value, value) if span else value)
        found = re.fullmatch(pattern, text)
        groups = found.groups() if found else ()
        # A column may stand behind its value: the groups are then the other way round.
        turned = "$B" in self.words[test] and self.words[test].find("$B") < self.words[test].find("$A")
        column, *values = (groups[-1], *groups[:-1]) if turned else groups
        return Condition(self._inside(self.column, column), test, tuple(self._value(v) for v in values))

    def _value(self, text: str) -> Value:
        quoted = re.fullmatch(_pattern(self.quote, f"({_WORD})"), text)
        return int(text) if re.fullmatch("-?[0-9]+", text) else quoted[1] if quoted else text

    def _inside(self, template: str, text: str) -> str:
        """What stands in a template's hole."""
        found = re.fullmatch(_pattern(template, f"({_WORD})"), text)
        return found[1] if found else text


def draw_dialect(rng: random.Random, wanted: Side) -> Dialect:
    """A dialect whose words are those of one split; of its other options half are the split's own."""
    house, test = option("CLAUSE", rng, wanted), option("TEST", rng, wanted)
    case, tests = rng.choice((str.upper, str.upper, str.lower, str.lower, str.title)), rng.choice(("word", "symbol", "any"))
    taken: set[str] = set()

    def key(construct: str, symbols: float = 0.15) -> str:
        return _keyword(construct, rng, wanted, case, symbols, taken)

    def clause(construct: str) -> str:
        form = house if rng.random() < 0.75 else option("CLAUSE", rng, wanted)
        return put_key(form, key(construct))

    words = {name: clause(name) for name in ("list", "distinct", "source", "where", "limit", "group", "join")}
    share = {"word": 0.0, "symbol": 0.9, "any": 0.4}[tests]
    words |= {name: put_key(test if rng.random() < 0.75 else option("TEST", rng, wanted), key(name, share)) for name in TESTS}
    words |= {name: f" {key(name)} " for name in ("both", "either")}
    words |= _directions(clause("order"), key) if rng.random() < 0.5 else {way: clause(way) for way in ("rising", "falling")}
    fold, inside = option("FOLD", rng, wanted), rng.random() < 0.6
    heads = {name: put_key(fold, key(name)) for name in FOLDS} | {"count": put_key(option("COUNT", rng, wanted), key("count"))}
    words |= {name: put(words["list"], head) if inside else head for name, head in heads.items()}
    drawn = {name: option(name.upper(), rng, wanted) for name in ("between", "column", "table", "quote", "span", "many", "end")}
    return Dialect(words, tuple(order(rng, wanted).split()), listed=option("LIST", rng, wanted), **drawn)


def _directions(order: str, key: Callable[[str], str]) -> dict[str, str]:
    named = {way: key(way) for way in ("rising", "falling")}
    return {way: put(order, f"$A {word}") for way, word in named.items()}


def _keyword(construct: str, rng: random.Random, wanted: Side, case: Callable[[str], str], symbols: float, taken: set[str]) -> str:
    """SQL's own, a symbol, a related word, or any word; never one that the dialect has already."""
    while True:
        chance, related = rng.random(), side(options.RELATED[construct].split(), wanted)
        if chance < 0.1:
            word = options.STANDARD[construct]
        elif rng.random() < symbols:
            word = symbol(rng, wanted)
        else:
            word = case(rng.choice(related) if related and rng.random() < 0.35 else draw_word(rng, wanted))
        if word not in taken:
            taken.add(word)
            return str(word)


def put(template: str, *values: Value) -> str:
    """A template with its holes filled."""
    filled = {hole: str(value) for hole, value in zip(("$A", "$B"), values, strict=False)}
    # In one pass, so that what is filled in may have holes of its own.
    return re.sub(r"\$[AB]", lambda found: filled.get(found[0], found[0]), template)


def put_key(template: str, key: str) -> str:
    """A template with its keyword filled in."""
    return template.replace("$K", key)


def _spaced(text: str) -> str:
    """Each run of blank space as a single space."""
    return re.sub(r"\s+", " ", text)


def _pattern(template: str, first: str, second: str = "") -> str:
    """A pattern of a template, with patterns in its holes."""
    escaped = re.escape(_spaced(template))
    return escaped.replace(re.escape("$A"), first).replace(re.escape("$B"), second)
