"""`headstart adapt`: a file of examples onto the shelf."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.text import Text

from headstart import disk, screen
from headstart.adapters.beginnings import AUTO, beginnings
from headstart.adapters.keep import keep, standing
from headstart.adapters.starts import Starts, refuse_start
from headstart.adapters.store import Shelf
from headstart.commands.opening import open_base
from headstart.commands.overlong import refuse_overlong
from headstart.episode import Example
from headstart.errors import AdapterRefused, HeadstartError, NameRefused, Stopped
from headstart.lm.load import Base
from headstart.tasks.texts import contradicting, numbered, told
from headstart.teach import NONE, Recipe, Taught, teach_from
from headstart.teach.room import within
from headstart.terms import counted

NAMED = 8
"""Words shown once that are named to people; the rest are counted."""


def run(
    path: Path, name: str, replaces: bool, base_name: str | None, precision: str | None, start: str, recipe: Recipe, as_json: bool
) -> None:
    """Read, choose a start, teach, keep, check, keep what was found, tell."""
    shelf = Shelf()
    refuse_start(name)
    disk.try_folder(shelf.free(name, replaces))
    if start not in (AUTO, NONE):
        Starts().shelf(start)
        if recipe.target or recipe.layers or recipe.rank is not None:
            raise AdapterRefused("A start brings its own rank and sites: give --start, or --rank, --target and --layers, not both.")
    rows = numbered(path, least=2)
    if odd := list(contradicting(rows)):
        screen.warn(told(odd, f"'{path}' contradicts itself, and of such rows one at most can be learned:"))
    examples = [row for _, row in rows]
    base = open_base(base_name, precision, "adapt")
    refuse_overlong(base, path, rows)
    facts, taught = _kept(shelf, name, replaces, base, examples, start, recipe)
    if as_json:
        screen.emit(facts)
    else:
        show(facts, taught)


def _kept(
    shelf: Shelf, name: str, replaces: bool, base: Base, examples: Sequence[Example], start: str, recipe: Recipe
) -> tuple[dict[str, Any], Taught]:
    """Teach, and keep: once as soon as the adapter is there, and again with its report. Whatever ends it, say what stands."""
    # By which it is known again, whatever has its name by then.
    mine, put = {"taught": uuid4().hex}, False

    def stands() -> bool:
        return standing(shelf, name, mine) is not None

    def ready(taught: Taught) -> None:
        nonlocal put
        keep(shelf, name, base, examples, taught, replaces or stands(), mine)
        put = True
        screen.warn(f"'{name}' is taught and can be asked; it is checked on examples held out.")

    try:
        with screen.progress() as tell:
            begun = beginnings(base, start, recipe, screen.warn, len(examples))
            taught = within(base, examples, begun, lambda begun: teach_from(base, examples, begun, tell, ready), screen.warn)
        if put and not stands():
            raise NameRefused(f"'{name}' was removed or renamed while it was checked, so its report is not kept.")
        return keep(shelf, name, base, examples, taught, replaces or stands(), mine), taught
    except (KeyboardInterrupt, HeadstartError) as end:
        left = f"'{name}' is kept as it was taught, and has no report." if stands() else "nothing was kept."
        if isinstance(end, HeadstartError):
            raise type(end)(f"{end} {left}" if stands() else str(end)) from end
        raise Stopped(left) from end


def show(facts: dict[str, Any], taught: Taught) -> None:
    """The honest report, for people."""
    if taught.report:
        screen.OUT.print(screen.scores(taught.report))
        screen.say(Text.assemble((taught.report.verdict, "bold"), f": {taught.report.advice}"))
    if facts["shown_once"]:
        screen.say(rare(facts["shown_once"]))
    if facts["glances"]:
        looked = f"loss before any step: {_sorted(facts['glances'])}"
        tried = f"; held out: {_sorted(facts['starts'])}" if facts["starts"] else ""
        screen.say(Text.assemble("start: ", (facts["start"], "bold"), f" ({looked}{tried})"))
    kept = "examples kept in front of every prompt" if facts["prefix"] else "weights alone"
    screen.say(
        f"'{facts['name']}': {facts['examples']} examples, {counted(facts['steps'], 'step')} in {facts['seconds']:.1f} s, "
        f"{facts['adapter_bytes'] / 1e6:.1f} MB, {kept}, peak memory {facts['peak_memory_bytes'] / 1e9:.2f} GB\n{facts['path']}"
    )


def _sorted(losses: dict[str, float]) -> str:
    """Names and losses, the lowest first."""
    return ", ".join(f"{name} {loss:.3f}" for name, loss in sorted(losses.items(), key=lambda item: item[1]))


def rare(once: Sequence[str]) -> str:
    """What is shown once, in a sentence or two."""
    more = f" and {len(once) - NAMED} more" if len(once) > NAMED else ""
    return (
        f"shown once: {', '.join(f'`{word}`' for word in once[:NAMED])}{more}. What is shown once is learned worst: add an example of each."
    )
