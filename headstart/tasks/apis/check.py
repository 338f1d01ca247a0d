"""Whether two texts are the same call: both are read into a record of it, and nothing is ever run."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from typing import Any, final

from headstart.episode import exact
from headstart.tasks.apis.shapes import Shape
from headstart.tasks.expression import LONGEST, expression

_TOKEN = re.compile(r"""(?P<text>"[^"]*"|'[^']*'|`[^`]*`)|(?P<number>\d\w*)|(?P<name>[^\W\d]\w*(?:-\w+)*)|(?P<mark>--|->|=>|::|;;|>>|\S)""")

Token = tuple[str, str]
Record = tuple[Any, ...]


@final
@dataclass(frozen=True)
class SameCall:
    """Right is what calls the same function with the same values, in the toolkit's own shape and notation.

    Blank space, the kind of a string's quotes and the order of arguments with names mean nothing. Everything else does: an answer
    in another shape is wrong even if a reader could guess what it means.
    """

    shape: Shape
    frame: str = "{}"
    """what stands around every call, {} for the call"""
    tail: str = ""
    """what closes a call after its arguments"""

    def __call__(self, expected: str, got: str) -> bool:
        """Whether `got` is the call that `expected` is."""
        if exact(expected, got):
            return True
        bare = None if len(got) > LONGEST else unframed(got, self.frame)
        wanted = unframed(expected, self.frame)
        if bare is None or wanted is None:
            return False
        record = read_json(wanted) if self.shape.json else read_python(wanted)
        if record is not None:
            return record == (read_json(bare) if self.shape.json else read_python(bare))
        return read_tokens(wanted, self.shape, self.tail) == read_tokens(bare, self.shape, self.tail)


def unframed(text: str, frame: str) -> str | None:
    """The call within its frame, None if the frame is not there."""
    before, after = frame.split("{}")
    tokens = list(_TOKEN.finditer(text))
    head, foot = len(tokenise(before)), len(tokenise(after))
    if len(tokens) <= head + foot or tokenise(text)[:head] != tokenise(before):
        return None
    if tokenise(text)[len(tokens) - foot :] != tokenise(after):
        return None
    return text[tokens[head].start() : tokens[len(tokens) - foot - 1].end()]


def tokenise(text: str) -> list[Token]:
    """Words, numbers with the unit that they carry, strings without their quotes, and marks."""
    return [(str(m.lastgroup), m[0][1:-1] if m.lastgroup == "text" else m[0]) for m in _TOKEN.finditer(text)]


def read_json(text: str) -> Record | None:
    """An object as its sorted entries, None for what is not JSON."""
    try:
        return ("json", json.loads(text, object_pairs_hook=lambda pairs: ("object", *sorted(map(repr, pairs))), parse_constant=str))
    except (ValueError, RecursionError):
        return None


def read_python(text: str) -> Record | None:
    """A call, method or chain of them, if that is all that a Python expression is; else None."""
    tree = expression(text)
    try:
        return _recorded(tree) if isinstance(tree, ast.Call) else None
    except (ValueError, RecursionError):
        return None


def _recorded(node: ast.expr) -> Record:
    """A node as plain tuples.

    Raises:
        ValueError: it is more than calls, names and values.
    """
    match node:
        case ast.Constant(value):
            return ("value", type(value).__name__, repr(value))
        case ast.Name(name):
            return ("name", name)
        case ast.Attribute(owner, name):
            return ("attribute", _recorded(owner), name)
        case ast.Tuple(elements):
            return ("tuple", *map(_recorded, elements))
        case ast.Dict(keys, values) if None not in keys:
            return ("dict", *sorted(((_recorded(k), _recorded(v)) for k, v in zip(keys, values, strict=True) if k), key=repr))
        case ast.Call() if all(k.arg for k in node.keywords):
            return _chain(node)
    raise ValueError(type(node).__name__)


def _chain(call: ast.Call) -> Record:
    """A call and the calls of methods on it: the last is what counts, and those between may come in any order."""
    links = [("", *_bound(call))]
    while isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call):
        links[-1] = (call.func.attr, *links[-1][1:])
        call = call.func.value
        links.append(("", *_bound(call)))
    last, *between, first = links if len(links) > 1 else (None, *links)
    return ("call", _recorded(call.func), first, tuple(sorted(between, key=repr)), last)


def _bound(call: ast.Call) -> Record:
    named = sorted(((str(k.arg), _recorded(k.value)) for k in call.keywords), key=repr)
    return (tuple(map(_recorded, call.args)), tuple(named))


def read_tokens(text: str, shape: Shape, tail: str = "") -> Record:
    """The text's tokens; of a shape with names, what comes before the arguments and then each of them, sorted."""
    tokens, closing = tokenise(text), tokenise(tail)
    if not shape.named or shape.ordered or tokens[len(tokens) - len(closing) :] != closing:
        return ("tokens", *tokens)
    head, *groups = _groups(tokens[: len(tokens) - len(closing)], shape)
    return ("named", tuple(head), tuple(sorted(map(tuple, groups))))


def _groups(tokens: list[Token], shape: Shape) -> list[list[Token]]:
    """What comes before the first argument, and then the tokens of each argument."""
    each = tokenise(shape.each.format(name="NAME", value="VALUE"))
    parts = [token[1] for token in each]
    name, value = parts.index("NAME"), parts.index("VALUE")
    between = tokenise(shape.between)
    opened = shape.whole.format(fn="", lib="", end="", first="", args="NAME").partition("NAME")[0]
    base = sum(map(opened.count, "([{")) - sum(map(opened.count, ")]}"))
    groups: list[list[Token]] = [[]]
    depth = 0
    for i, token in enumerate(tokens):
        here = tokens[i : i + value]
        begins = len(here) == value and all(j == name or here[j] == each[j] for j in range(value)) and here[name][0] in ("name", "text")
        if depth == base and begins:
            if between and groups[1:] and groups[-1][-1:] == between:
                groups[-1].pop()
            groups.append([])
        groups[-1].append(token)
        depth += (token[1] in "([{") - (token[1] in ")]}") if token[0] == "mark" else 0
    return groups
