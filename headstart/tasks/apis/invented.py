"""Invented notation: marks and words put together without end, for the toolkits that are trained on.

Whoever has seen four kinds of quotes learns those four; whoever meets another kind in every task learns to look. What validation and test
keep for themselves is never invented.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping

from headstart.tasks.apis.shapes import Shape
from headstart.tasks.parts import Parts, unlike

_BETWEEN = (", ", " ", "; ", " | ", " / ", " + ", " & ", " and ", " then ")
_LINES = (
    "{{fn}}{o}{{args}}{c}",
    "{{fn}} {m} {{args}}",
    "{o}{{fn}} {{args}}{c}",
    "{o}{{args}}{c} {{fn}}",
    "{{args}} {m} {{fn}}",
    "{{lib}} {m} {{fn}}{o}{{args}}{c}",
    "{{first}} {m} {{fn}}{o}{{args}}{c}",
    "{w} {{fn}} {v} {{args}}",
    "{w} {{args}} {v} {{fn}}",
)
_EACH = ("{{name}}{m}{{value}}", "{{name}} {m} {{value}}", "{m}{{name}} {{value}}", "{{name}} {w} {{value}}")


def invent(slot: str, kept: Collection[str], rng: random.Random) -> str:
    """An option for a slot of a convention, none of those that are kept for validation and test."""
    return unlike(kept, lambda: rng.choice(_OPTIONS[slot]).format_map(Parts(rng)))


def invent_shape(kept: Collection[Shape], rng: random.Random) -> Shape:
    """A shape, none of those that are kept for validation and test."""
    return unlike(kept, lambda: _shape(rng))


def _shape(rng: random.Random) -> Shape:
    parts = Parts(rng)
    each = "{value}" if rng.random() < 1 / 3 else rng.choice(_EACH).format_map(parts)
    return Shape(rng.choice(_LINES).format_map(parts), each, rng.choice(_BETWEEN))


_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "naming": ("{{lib}}{m}{{fn}}", "{m}{{fn}}", "{{fn}}{m}", "{w}_{{fn}}", "{{fn}}_{w}"),
    "quote": ("{m}{{}}", "{m}{{}}{m}", "({{}})", "[{{}}]", '{m}"{{}}"', "{w}({{}})", "{w}:{{}}"),
    "unit": (
        "{{n}}{m}{{short}}",
        "{{n}}{m}{{long}}",
        "{{short}}{m}{{n}}",
        "{{long}}{m}{{n}}",
        "{m}{{n}}",
        "[{{n}} {{short}}]",
        "{{small}}{m}",
    ),
    "truth": ("{w} {v}", "{m}yes {m}no", "{m}1 {m}0", "T F", "+ -", "yes{m} no{m}", "{w} no{w}"),
    "choice": ("{m}{{lower}}", "{m}{{upper}}", "{m}{{title}}", "{{lower}}{m}", "{{kind}}{m}{{lower}}", "{w}_{{lower}}", "[{{upper}}]"),
    "absent": ("{m}", "{w}", "none", "nothing", "()", "[]", "{m}{m}"),
    "frame": ("{w} {{}}", "{m} {{}}", "{w} {{}} {v}", "{m} {{}} {m}", "{w}( {{}} )", "[ {{}} ]"),
    "stop": (" {m}", " {w}", " {m} {m}"),
}
