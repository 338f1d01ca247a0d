"""`headstart starts`: where adapters may begin."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from headstart import screen
from headstart.adapters.facts import start as facts
from headstart.adapters.starts import Starts


def list_all(as_json: bool) -> None:
    """All starts; broken ones are named and do no harm."""
    starts = Starts()
    rows = [facts(starts, name) for name in starts.names()]
    if as_json:
        screen.emit({"starts": rows})
        return
    if not rows:
        screen.say("There are no starts; `headstart meta-train` makes one from a family of tasks.")
        return
    table = Table()
    for column in ("name", "base", "meta-trained on", "unseen tasks", "licence", "size"):
        table.add_column(column)
    for row in rows:
        score = row["score"]
        table.add_row(
            Text(row["name"]),
            Text(row["problem"] or row["base"] or "?", "red" if row["problem"] else ""),
            Text(row["about"]),
            f"{100 * score['mean']:.0f} % of {score['tasks']}" if score else "?",
            Text((row["licence"] or "").partition(";")[0]),
            f"{row['bytes'] / 1e6:.1f} MB",
        )
    screen.OUT.print(table)
