"""`headstart eval --worth`: what more examples of the user's own task are worth, from starts and from scratch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.table import Table

from headstart import disk, screen
from headstart.adapters.beginnings import AUTO, beginnings
from headstart.adapters.keep import hash_of_weights
from headstart.commands.opening import open_base
from headstart.commands.overlong import refuse_overlong
from headstart.config import home, make_folder
from headstart.episode import Example
from headstart.errors import SettingsError, Stopped, StorageError
from headstart.lm.load import Base
from headstart.tasks.texts import numbered
from headstart.teach import NONE, Beginning, Recipe
from headstart.teach.recipe import MANY
from headstart.teach.worth import BASE, COUNTS, LEAST, PROMPT, Cell, apart, best, equals, likelier, meter
from headstart.terms import SHOWN
from headstart.train.evaluate import interval

_KEY = 10
"""Examples with which a start is compared to scratch."""


def run(path: Path, base_name: str | None, precision: str | None, seed: int, plot: Path | None, as_json: bool) -> None:
    """Read, keep questions apart, measure what is not measured yet, tell.

    Raises:
        ExamplesError: the file cannot be read, or has too few rows that differ.
        SettingsError: a plot is wanted, and matplotlib or its folder is not there.
    """
    figure = _figure(plot) if plot else None
    rows = numbered(path, LEAST)
    support, query = apart([row for _, row in rows], seed)
    base = open_base(base_name, precision, "adapt")
    refuse_overlong(base, path, rows)
    begun = beginnings(base, AUTO, Recipe(seed=seed), screen.warn, SHOWN)
    # What is wrong with a start has been told by now.
    many = beginnings(base, AUTO, Recipe(seed=seed), lambda _: None, len(support)) if len(support) > SHOWN else []
    cells = _measured(base, support, query, begun, many)
    starts = [it.name for it in begun if it.name != NONE]
    key = max((count for count in COUNTS if count <= min(_KEY, len(support))), default=COUNTS[0])
    worth = {
        start: {"examples": key, "exact_match": best(cells, start, key), "scratch_needs": equals(cells, start, key)} for start in starts
    }
    facts: dict[str, Any] = {"base": base.name, "questions": len(query), "examples": len(support), "seed": seed, "worth": worth}
    facts["cells"] = [vars(cell) for cell in cells]
    screen.emit(facts) if as_json else _show(facts, cells)
    if plot:
        _draw(figure, cells, len(query), plot)


def _measured(
    base: Base, support: Sequence[Example], query: Sequence[Example], few: Sequence[Beginning], many: Sequence[Beginning]
) -> list[Cell]:
    """Every cell, kept as it comes: what was stopped goes on where it was, as long as nothing that it depends on is another."""
    file = home() / "runs" / f"worth-{_key(base, support, query, [*few, *many])}.jsonl"
    cells = [Cell(**row) for row in _rows(file)]
    _add(file, "")
    try:
        with screen.progress() as tell:
            for found in meter(base, support, query, few, many, tell, {(cell.way, cell.examples) for cell in cells}):
                cells += found
                _add(file, json.dumps([vars(cell) for cell in found]))
    except KeyboardInterrupt as stop:
        raise Stopped("what was measured is kept; the same command goes on from there.") from stop
    return cells


def _add(file: Path, line: str) -> None:
    """A line of its own even behind one that was cut short; nothing, to see whether the file can be written."""
    try:
        make_folder(file.parent)
        with file.open("a", encoding="utf-8") as kept:
            kept.write(line and "\n" + line)
    except OSError as error:
        raise StorageError(f"'{file}' could not be written ({error.strerror}); what it holds is kept.") from error


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """What was kept; a line that a kill cut short is measured again."""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else ():
        try:
            yield from json.loads(line)
        except ValueError:
            continue


def _key(base: Base, support: Sequence[Example], query: Sequence[Example], begun: Sequence[Beginning]) -> str:
    """Of all that the cells depend on."""
    kept = tuple(it.name for it in fields(Cell))
    told = hashlib.sha256(repr((version("headstart"), kept, base.content_hash, base.precision, MANY, support, query)).encode())
    for it in begun:
        told.update(repr((it.name, it.recipe, hash_of_weights(it.weights))).encode())
    return told.hexdigest()[:16]


def _show(facts: dict[str, Any], cells: Sequence[Cell]) -> None:
    ways = list(dict.fromkeys(cell.way for cell in cells if cell.way != BASE))
    table = Table(
        title=f"right of {facts['questions']} questions, to the letter; with the examples in front or not, as right answers are likelier"
    )
    table.add_column("examples", justify="right")
    for way in ways:
        table.add_column("from scratch" if way == NONE else way, justify="right")
    for count in sorted({cell.examples for cell in cells} - {0}):
        there = {cell.way for cell in cells if cell.examples == count}
        table.add_row(str(count), *(f"{100 * best(cells, way, count):.0f} %" if way in there else "" for way in ways))
    screen.OUT.print(table)
    screen.say(f"The base alone: {100 * best(cells, BASE, 0):.0f} %.")
    for cell in cells:
        if cell.way == PROMPT and cell.shown < cell.examples:
            screen.say(f"Of {cell.examples} examples the base's context holds {cell.shown} in a prompt.")
    for start, it in facts["worth"].items():
        needs, most = it["scratch_needs"], max(cell.examples for cell in cells)
        scratch = f"; from scratch first seen as good with {needs}" if needs else f"; from scratch not seen as good with up to {most}"
        low, high = interval(it["exact_match"], facts["questions"])
        right = f"{100 * it['exact_match']:.0f} % ({100 * low:.0f} to {100 * high:.0f} by chance in so few questions)"
        screen.say(f"{start} with {it['examples']} examples: {right}{scratch if it['exact_match'] else ''}.")


def _figure(plot: Path) -> Any:
    """Asked for before hours are spent."""
    if not plot.resolve().parent.is_dir():
        raise SettingsError(f"--plot {plot}: there is no folder '{plot.resolve().parent}'; make it first.")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SettingsError("--plot draws with matplotlib, which is not installed: pip install matplotlib.") from error
    return Figure(figsize=(7, 4.5))


def _draw(figure: Any, cells: Sequence[Cell], questions: int, path: Path) -> None:
    axes = figure.subplots()
    for way in dict.fromkeys(cell.way for cell in cells if cell.way != BASE):
        counts = sorted({cell.examples for cell in cells if cell.way == way})
        tops = [cell for n in counts if (cell := likelier(cells, way, n))]
        name = {NONE: "LoRA from scratch", PROMPT: "examples in the prompt"}.get(way, f"start {way}")
        axes.plot(counts, [100 * top.exact_match for top in tops], marker="o", label=name)
        axes.fill_between(counts, [100 * top.interval[0] for top in tops], [100 * top.interval[1] for top in tops], alpha=0.15)
    axes.set(xscale="log", xlabel="examples", ylabel=f"right, % of {questions} questions", ylim=(0, 100))
    axes.legend()
    part = path.with_name(f".part-{path.name}")
    try:
        figure.savefig(part, dpi=120, format="png")
    except OSError as error:
        raise StorageError(f"'{path}' could not be written ({error.strerror}); what was measured is kept.") from error
    disk.settle(part, path)
