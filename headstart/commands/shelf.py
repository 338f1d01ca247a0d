"""`headstart adapters`: what lies on the shelf."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from headstart import disk, screen
from headstart.adapters import peft
from headstart.adapters.store import Shelf
from headstart.errors import AdapterRefused


def list_all(as_json: bool) -> None:
    """All adapters; broken ones are named and do no harm."""
    shelf = Shelf()
    rows = [facts(shelf, name) for name in shelf.names()]
    if as_json:
        screen.emit({"shelf": str(shelf.root), "adapters": rows})
        return
    if not rows:
        screen.OUT.print(f"The shelf {shelf.root} is empty: `headstart adapt EXAMPLES --name NAME` makes an adapter.", soft_wrap=True)
        return
    table = Table()
    for column in ("name", "base", "examples", "held-out exact match", "size", "made"):
        table.add_column(column)
    for row in rows:
        score = (row["scores"] or {}).get("adapter")
        table.add_row(
            Text(row["name"]),
            Text(row["problem"] or row["base"] or "?", "red" if row["problem"] else ""),
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
    card = shelf.known(name) / "README.md"
    screen.OUT.print(Text(card.read_text(encoding="utf-8") if card.is_file() else str(row)))
    screen.OUT.print(Text(row["path"]), soft_wrap=True)


def remove(name: str, as_json: bool) -> None:
    """Take one away."""
    Shelf().remove(name)
    screen.emit({"removed": name}) if as_json else screen.OUT.print(f"'{name}' is gone.")


def facts(shelf: Shelf, name: str) -> dict[str, Any]:
    """One row of the list; a problem is a fact too."""
    path = shelf.known(name)
    problem, record, config = None, {}, {}
    try:
        record = shelf.record(name)
        config = peft.read(path)[1]
    except AdapterRefused as error:
        problem = str(error)
    return {
        "name": name,
        "path": str(path),
        "base": record.get("base", {}).get("name") or config.get("base_model_name_or_path"),
        "examples": record.get("examples"),
        "start": record.get("start"),
        "scores": record.get("scores"),
        "verdict": record.get("verdict"),
        "adapter_bytes": disk.size(path),
        "made": datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M"),
        "problem": problem,
    }
