"""Shapes: where a call's function, argument names and values stand in its text. Every shape is one split's alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headstart.tasks.words import Side


@dataclass(frozen=True)
class Shape:
    """A template of calls, and of each argument in them."""

    whole: str
    """of {fn}, {args}, {lib} (the toolkit), {end} (a closing word) and {first} (the first value, which {args} then leaves out)"""
    each: str
    """of {name} and {value}"""
    between: str = ", "
    json: bool = False
    ordered: bool = False
    """whether arguments with names have an order too"""

    @property
    def named(self) -> bool:
        """Whether arguments are told by name, so that their order means nothing."""
        return "{name}" in self.each

    @property
    def takes_first(self) -> bool:
        """Whether the first value stands apart."""
        return "{first}" in self.whole

    @property
    def loose(self) -> bool:
        """Whether blank space ends a name, so that a name may have hyphens."""
        return self.whole.startswith(("{fn} ", "({fn} "))

    def write(self, words: Mapping[str, str], arguments: list[tuple[str, str]]) -> str:
        """The call's text: of the words for {fn}, {lib} and {end}, and arguments of a name and a value as written."""
        first, rest = (arguments[0][1], arguments[1:]) if self.takes_first else ("", arguments)
        args = self.between.join(self.each.format(name=name, value=value) for name, value in rest)
        return self.whole.format(**words, first=first, args=args).strip()


SHAPES: Mapping[Side, tuple[Shape, ...]] = {
    "train": (
        Shape("{fn}({args})", "{value}"),
        Shape("{fn}({args})", "{name}={value}"),
        Shape("{fn}({args})", "{name}: {value}"),
        Shape("{fn}({{{args}}})", '"{name}": {value}'),
        Shape("{fn}(){args}.{end}()", ".{name}({value})", ""),
        Shape("{lib}({first}).{fn}({args})", "{value}"),
        Shape("{lib}({first}).{fn}({args})", "{name}={value}"),
        Shape("{fn} {args}", "--{name} {value}", " "),
        Shape("{fn} {args}", "--{name}={value}", " "),
        Shape('{{"op": "{fn}", "args": [{args}]}}', "{value}", json=True),
        Shape('{{"call": "{fn}", {args}}}', '"{name}": {value}', json=True),
        Shape("({fn} {args})", ":{name} {value}", " "),
        Shape("{first} | {fn}({args})", "{value}"),
        Shape("{fn} {args}", "{value}", " "),
    ),
    "validation": (
        Shape("new {fn}{{{args}}}", "{name}: {value}"),
        Shape("{first}->{fn}({args})", "{value}"),
        Shape("{fn} {args}", "/{name}:{value}", " "),
    ),
    "test": (
        Shape("({fn} {args})", "{value}", " "),
        Shape("{fn}?{args}", "{name}={value}", "&"),
        Shape("[{lib} {fn} {args}]", "{name}~{value}", " "),
        Shape("{fn}[{args}]", "{name} => {value}"),
        Shape("call {fn} with {args}", "{name} as {value}"),
        Shape("{args} {fn}", "{value}", " "),
    ),
}
