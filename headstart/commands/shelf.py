"""`headstart adapters`: what lies on the shelf."""

from __future__ import annotations

import contextlib

from rich.table import Table
from rich.text import Text

from headstart import screen
from headstart.adapters import trash
from headstart.adapters.facts import adapter as facts
from headstart.adapters.starts import refuse_start
from headstart.adapters.store import Shelf
from headstart.errors import AdapterRefused, NameRefused


def list_all(as_json: bool) -> None:
    """All adapters; broken ones are named and do no harm."""
    shelf = Shelf()
    rows = []
    for name in shelf.names():
        # It may be removed meanwhile.
        with contextlib.suppress(NameRefused):
            rows.append(facts(shelf, name))
    if as_json:
        screen.emit({"shelf": str(shelf.root), "adapters": rows})
        return
    if not rows:
        screen.say(f"The shelf {shelf.root} is empty: `headstart adapt EXAMPLES --name NAME` makes an adapter.")
        return
    table = Table()
    for column in ("name", "base", "examples", "held-out exact match", "size", "made"):
        table.add_column(column)
    for row in rows:
        score = (row["scores"] or {}).get("adapter")
        table.add_row(
            Text(row["name"]),
            Text(f"broken: `headstart adapters show {row['name']}`", "red") if row["problem"] else Text(row["base"] or "?"),
            str(row["examples"] or "?"),
            f"{100 * score['exact_match']:.0f} %" if score else "?",
            f"{row['adapter_bytes'] / 1e6:.1f} MB",
            row["made"],
        )
    screen.OUT.print(table)


def show(name: str, as_json: bool) -> None:
    """Everything known of one adapter."""
    shelf = Shelf()
    shelf.known(name)
    row = facts(shelf, name)
    if as_json:
        screen.emit(row | {"record": {} if row["problem"] else shelf.record(name)})
        return
    if row["problem"]:
        raise AdapterRefused(row["problem"])
    screen.say(shelf.card(name) or str(row))
    screen.say(row["path"])


def remove(name: str, as_json: bool) -> None:
    """Take one away; it can be had back until the next is."""
    trash.remove(Shelf(), name)
    told = f"'{name}' is gone; until another is removed, `headstart adapters restore` brings it back."
    screen.emit({"removed": name}) if as_json else screen.say(told)


def restore(name: str | None, as_json: bool) -> None:
    """Bring back what was removed last."""
    back = trash.restore(Shelf(), name)
    screen.emit({"restored": back}) if as_json else screen.say(f"'{back}' is back.")


def purge(as_json: bool) -> None:
    """Let it go for good."""
    gone = trash.purge(Shelf())
    screen.emit({"purged": gone}) if as_json else screen.say(f"gone for good: {', '.join(gone) or 'nothing'}")


def rename(name: str, to: str, as_json: bool) -> None:
    """Call one something else."""
    refuse_start(to)
    Shelf().rename(name, to)
    screen.emit({"renamed": name, "to": to}) if as_json else screen.say(f"'{name}' is '{to}' now.")
