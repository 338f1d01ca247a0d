"""`headstart eval --worth`: what more examples of the user's own task are worth, from starts and from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from headstart import disk, screen
from headstart.adapters.beginnings import AUTO, beginnings
from headstart.commands.opening import open_base
from headstart.errors import SettingsError
from headstart.tasks.texts import read_examples
from headstart.teach import NONE, Recipe
from headstart.teach.worth import BASE, COUNTS, PROMPT, Cell, apart, best, equals, meter

_LEAST = 6
"""Rows of a file: two questions, and two examples and more."""
_KEY = 10
"""Examples with which a start is compared to scratch."""


def run(path: Path, base_name: str | None, seed: int, plot: Path | None, as_json: bool) -> None:
    """Read, keep questions apart, measure, tell.

    Raises:
        SettingsError: a plot is wanted and matplotlib is not there.
    """
    figure = _figure() if plot else None
    examples = read_examples(path, least=_LEAST)
    base = open_base(base_name)
    support, query = apart(examples, seed)
    begun = beginnings(base, AUTO, Recipe(seed=seed), screen.warn)
    cells: list[Cell] = []
    with screen.progress() as tell:
        for cell in meter(base, support, query, begun, tell):
            cells.append(cell)
    starts = [it.name for it in begun if it.name != NONE]
    key = max((count for count in COUNTS if count <= min(_KEY, len(support))), default=COUNTS[0])
    worth = {
        start: {"examples": key, "exact_match": best(cells, start, key), "scratch_needs": equals(cells, start, key)} for start in starts
    }
    facts: dict[str, Any] = {"base": base.name, "questions": len(query), "examples": len(support), "seed": seed, "worth": worth}
    facts["cells"] = [vars(cell) for cell in cells]
    if plot:
        _draw(figure, cells, len(query), plot)
    screen.emit(facts) if as_json else _show(facts, cells, plot)


def _show(facts: dict[str, Any], cells: Sequence[Cell], plot: Path | None) -> None:
    ways = list(dict.fromkeys(cell.way for cell in cells if cell.way != BASE))
    table = Table(title=f"right of {facts['questions']} questions, to the letter; the better of with and without the examples in front")
    table.add_column("examples", justify="right")
    for way in ways:
        table.add_column("from scratch" if way == NONE else way, justify="right")
    for count in sorted({cell.examples for cell in cells} - {0}):
        there = {cell.way for cell in cells if cell.examples == count}
        table.add_row(str(count), *(f"{100 * best(cells, way, count):.0f} %" if way in there else "" for way in ways))
    screen.OUT.print(table)
    screen.OUT.print(f"The base alone: {100 * best(cells, BASE, 0):.0f} %.", highlight=False)
    for start, it in facts["worth"].items():
        needs = f"{it['scratch_needs']}" if it["scratch_needs"] else f"more than {max(c.examples for c in cells)}"
        told = f"{start} with {it['examples']} examples: {100 * it['exact_match']:.0f} %; from scratch as good with {needs}."
        screen.OUT.print(told, highlight=False, soft_wrap=True)
    if plot:
        screen.OUT.print(f"{plot}", soft_wrap=True, highlight=False)


def _figure() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SettingsError("--plot draws with matplotlib, which is not installed: pip install matplotlib.") from error
    return Figure(figsize=(7, 4.5))


def _draw(figure: Any, cells: Sequence[Cell], questions: int, path: Path) -> None:
    axes = figure.subplots()
    for way in dict.fromkeys(cell.way for cell in cells if cell.way != BASE):
        counts = sorted({cell.examples for cell in cells if cell.way == way})
        tops = [max((c for c in cells if (c.way, c.examples) == (way, n)), key=lambda c: c.exact_match) for n in counts]
        name = {NONE: "LoRA from scratch", PROMPT: "examples in the prompt"}.get(way, f"start {way}")
        axes.plot(counts, [100 * top.exact_match for top in tops], marker="o", label=name)
        axes.fill_between(counts, [100 * top.interval[0] for top in tops], [100 * top.interval[1] for top in tops], alpha=0.15)
    axes.set(xscale="log", xlabel="examples", ylabel=f"right, % of {questions} questions", ylim=(0, 100))
    axes.legend()
    part = path.with_name(f".part-{path.name}")
    figure.savefig(part, dpi=120, format="png")
    disk.settle(part, path)
