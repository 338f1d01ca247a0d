"""`headstart doctor`: what is wrong here, and the mend."""

from __future__ import annotations

from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from headstart import screen
from headstart.checkup import findings
from headstart.plan.finding import Finding

_COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}


def run(probed: bool, as_json: bool) -> int:
    """Look, tell; 1 where something will fail.

    Args:
        probed: measure products and reading too, which takes two seconds.
        as_json: for programs.
    """
    with screen.ERR.status("looking"):
        found = list(findings(probed))
    bad = sum(it.level == "problem" for it in found)
    if as_json:
        screen.emit({"problems": bad, "findings": [asdict(it) for it in found]})
    else:
        _show(found)
    return int(bad > 0)


def _show(found: list[Finding]) -> None:
    """For people: all in a table, then what is to be done."""
    table = Table()
    for column in ("", "about", "what"):
        table.add_column(column, overflow="fold")
    for it in found:
        table.add_row(Text(it.level, _COLOURS[it.level]), Text(it.about), Text(it.what))
    screen.OUT.print(table)
    for it in found:
        if it.level != "ok":
            screen.say(Text(f"{it.about}: {it.what.rstrip('.')}. {it.why}\n  mend: {it.mend}", _COLOURS[it.level]))
