"""`headstart starts`: where adapters may begin."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from headstart import disk, screen
from headstart.adapters.starts import Starts, described
from headstart.errors import AdapterRefused


def list_all(as_json: bool) -> None:
    """All starts; broken ones are named and do no harm."""
    starts = Starts()
    rows = [facts(starts, name) for name in starts.names()]
    if as_json:
        screen.emit({"starts": rows})
        return
    if not rows:
        screen.OUT.print("There are no starts; `headstart meta-train` makes one from a family of tasks.")
        return
    table = Table()
    for column in ("name", "base", "meta-trained on", "test tasks", "steps", "size"):
        table.add_column(column)
    for row in rows:
        score = row["score"]
        table.add_row(
            Text(row["name"]),
            Text(row["problem"] or row["base"] or "?", "red" if row["problem"] else ""),
            Text(row["about"]),
            f"{100 * score['mean']:.0f} %" if score else "?",
            str(row["steps"] or "?"),
            f"{row['bytes'] / 1e6:.1f} MB",
        )
    screen.OUT.print(table)


def facts(starts: Starts, name: str) -> dict[str, Any]:
    """What is known of a start."""
    shelf, problem = starts.shelf(name), ""
    try:
        record = shelf.record(name)
    except AdapterRefused as error:
        record, problem = {}, str(error)
    return {
        "name": name,
        "path": str(shelf.path(name)),
        "base": (record.get("base") or {}).get("name"),
        "about": described(record),
        "score": record.get("score"),
        "steps": record.get("steps"),
        "rate": record.get("rate"),
        "bytes": disk.size(shelf.path(name)),
        "problem": problem,
    }
