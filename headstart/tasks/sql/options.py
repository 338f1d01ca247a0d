"""What a dialect may look like: options of each kind, some of which only validation or only test tasks have.

A template's holes are `A` and `B` behind a dollar sign, its keyword is `K`: "$K($A)" with the keyword PULL is PULL(...).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import final

from headstart.tasks.words import Side


@final
@dataclass(frozen=True)
class Options:
    """Options by split. One that stands twice is twice as likely."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def draw(self, rng: random.Random, wanted: Side, own: float = 0.5) -> str:
        """An option of training, or with a chance of `own` one that the split has for itself."""
        mine: tuple[str, ...] = getattr(self, wanted)
        return rng.choice(mine if wanted != "train" and rng.random() < own else self.train)


CLAUSE = Options(
    (
        *("$K $A", "$K $A", "$K $A", "$K($A)", "$K($A)", "$K[$A]", "<$K $A>", "$K: $A", "@$K $A", "$K ($A)", "[$K $A]", ".$K($A)"),
        *("$K=$A", "$K -> $A", "#$K $A"),
    ),
    ("$K<$A>", "/$K $A", "$K = {$A}"),
    ("$A $K", "($K $A)", "$K::$A", "|$K| $A", "$K{$A}", "~$K($A)"),
)
"""A keyword and what belongs to it."""
TEST = Options(
    ("$A $K $B", "$A $K $B", "$A $K $B", "$K($A, $B)", "$A.$K($B)", "$K $A $B", "$A $K($B)"),
    ("$A:$K:$B", "[$A $K $B]"),
    ("($K $A $B)", "$A $K<$B>", "$A[$K $B]", "$K[$A; $B]"),
)
"""A keyword between a column and a value."""
FOLD = Options(("$K($A)", "$K($A)", "$K $A", "$K[$A]", "$A.$K", "@$K $A"), ("$K<$A>", "$K/$A"), ("($K $A)", "$A:$K", "$K{$A}", "$K~$A"))
"""A keyword and the column that is computed of."""
COUNT = Options(("$K", "$K", "$K()", "$K(*)", "@$K", "#$K"), ("$K[]", "<$K>"), ("*$K", "$K!", "($K)"))
"""The keyword that counts."""
SPAN = Options(
    ("$A..$B", "$A, $B", "$A to $B", "$A and $B", "[$A, $B]", "($A, $B)", "$A:$B"), ("$A ~ $B", "{$A, $B}"), ("$A/$B", "<$A $B>")
)
"""Two numbers, the smaller first."""
MANY = Options(("($A, $B)", "[$A, $B]", "$A, $B", "{$A, $B}", "$A|$B"), ("<$A, $B>", "$A + $B"), ("($A $B)", "$A/$B", "[$A; $B]"))
"""Texts to choose from."""
QUOTE = Options(("'$A'", "'$A'", "'$A'", '"$A"', '"$A"', "`$A`", "$A"), ("|$A|", "{$A}"), ("<$A>", "/$A/", "q[$A]"))
"""Around a text."""
COLUMN = Options(("$A",) * 8 + ("[$A]", "`$A`", ":$A", '"$A"', "t.$A"), ("$$A", "$A'"), ("{$A}", "@$A", "<$A>", "~$A"))
"""Around a column."""
TABLE = Options(("$A",) * 8 + ("[$A]", '"$A"', "db.$A", "@$A"), ("#$A", "$A()"), ("{$A}", "$A!", "::$A"))
"""Around a table."""
BETWEEN = Options((" ", " ", " ", " ", " ", "\n", " | ", " |> ", "; ", ", "), (" / ", " -> "), (" >> ", " :: ", "\n  "))
"""Between clauses."""
LIST = Options((", ", ", ", ", ", ", ", ",", " ", " & ", "; "), (" + ", "|"), (" / ", " ~ ", " . "))
"""Between columns."""
END = Options(("", "", "", "", "", ";", ";;", " END", "."), (" !", " ok"), (" .;", " fin", "$"))
"""Behind everything."""
SYMBOLS = Options(
    tuple("?? <- ~ => :: $ % ^ ! & -> >> << =: ++ -- @ # <> ~= != > < = == <= >= := ..".split()),
    tuple("|> ?: ~> %% <=>".split()),
    tuple("=~ <| ^^ ?= !! &+ ><".split()),
)
"""Keywords that are no words."""
ORDERS = Options(
    ("head source join where group order limit",) * 4
    + ("source join where group head order limit", "source join where group order limit head")
    + ("source head join where group order limit", "head join source group where order limit"),
    ("source join order where limit group head",),
    ("head source join limit order where group", "source where join group limit order head"),
)
"""Clauses in their order; the first one is in every query."""
RELATED = {
    "list": "pull fetch get show take pick grab read give find want view print emit yield out see",
    "distinct": "unique once various different dedupe distinct single uniq",
    "source": "of in at within inside using over table on off source",
    "where": "if when where having such only keep filter that given while provided",
    "equal": "is equals same eq matches as be equal",
    "unequal": "not isnt differs ne other unlike except",
    "above": "over above gt more beyond past exceeds tops greater",
    "below": "under below lt less beneath short lower beats",
    "between": "between within range spans inside ranges",
    "among": "in among any within either member oneof",
    "starts": "starts begins like prefix opens head leads",
    "both": "and both also plus with too",
    "either": "or either else alt",
    "rising": "up asc rising climb ascending low lowest",
    "falling": "down desc falling sink descending high highest",
    "limit": "limit top first max cap just head only take",
    "group": "per by each group every split",
    "join": "join with link along merge pair connect",
    "count": "count tally number size total many",
    "sum": "sum total add plus whole",
    "mean": "avg mean average typical middle norm",
    "most": "max most highest peak top largest",
    "least": "min least lowest floor bottom smallest",
    "order": "sort order rank arrange by sorted",
}
"""Words that a dialect's maker might well choose."""
STANDARD = {
    "list": "SELECT", "distinct": "SELECT DISTINCT", "source": "FROM", "where": "WHERE", "equal": "=", "unequal": "<>", "above": ">",
    "below": "<", "between": "BETWEEN", "among": "IN", "starts": "LIKE", "both": "AND", "either": "OR", "rising": "ASC", "falling": "DESC",
    "limit": "LIMIT", "group": "GROUP BY", "join": "JOIN", "count": "COUNT", "sum": "SUM", "mean": "AVG", "most": "MAX", "least": "MIN",
    "order": "ORDER BY",
}  # fmt: skip
"""SQL's own, which many dialects keep in part."""
