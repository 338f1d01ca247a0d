"""`headstart plan`: will it run, and what would have to be changed; without reading a weight."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from headstart import screen
from headstart.errors import HeadstartError, SettingsError
from headstart.plan.cards import Place
from headstart.plan.clock import Speed, speed
from headstart.plan.facts import facts as planned_facts
from headstart.plan.facts import where
from headstart.plan.setting import Setting
from headstart.plan.source import model
from headstart.plan.verdict import Change
from headstart.terms import Purpose

NO, UNKNOWN = 1, 2
"""Exit codes with --check."""


def run(
    name: str | None,
    card_name: str | None,
    memory: str | None,
    purpose: Purpose,
    setting: Setting,
    probed: bool,
    check: bool,
    as_json: bool,
) -> int:
    """Find the shape, forecast, judge, tell.

    Returns:
        0; with `check`, 1 where it does not fit and 2 where that cannot be told.

    Raises:
        BaseRefused, SettingsError: no such base, card or amount, or a setting that the base does not take; without `check`.
    """
    try:
        if probed and (card_name or memory):
            raise SettingsError("--probe measures this machine, so it goes without --card and --memory.")
        place = where(card_name, memory)
        facts = planned_facts(model(name), place, purpose, setting, _speed(place, probed, setting))
    except HeadstartError as error:
        if not check:
            raise
        screen.warn(f"{error.word}: {error}")
        return UNKNOWN
    screen.emit(facts) if as_json else _show(facts, here=not (card_name or memory))
    return NO if check and facts["verdict"] == "no" else 0


def _speed(place: Place, probed: bool, setting: Setting) -> Speed | None:
    if not probed:
        return speed(place)
    import torch

    from headstart.plan.probe import probe

    return probe(
        {"fp16": torch.float16, "fp32": torch.float32}.get(setting.precision, torch.bfloat16),
        "cuda" if torch.cuda.is_available() else "cpu",
    )


def _show(facts: dict[str, Any], here: bool) -> None:
    """For people."""
    screen.say(
        f"{facts['model']}: {facts['family']}, {facts['parameters'] / 1e9:.2f} billion parameters, shape from {facts['shape_from']}; "
        f"in {facts['setting']['precision']} on {facts['memory']['name']} with {_gb(facts['memory']['bytes'])}"
    )
    if facts["note"]:
        screen.warn(f"careful: {facts['note']}")
    screen.OUT.print(_purposes(facts))
    screen.OUT.print(_pieces(facts))
    _advise(facts, here)


def _purposes(facts: dict[str, Any]) -> Table:
    table = Table(title="The whole peak, weights included", title_justify="left")
    for column in ("for", "peak", "verdict", "when"):
        table.add_column(column, justify="right" if column == "peak" else "left")
    for name, it in facts["purposes"].items():
        table.add_row(name, _gb(it["peak_bytes"]), it["verdict"], it["moment"], style="bold" if name == facts["for"] else "")
    return table


def _pieces(facts: dict[str, Any]) -> Table:
    table = Table(title=f"{facts['for']}, piece by piece", title_justify="left")
    table.add_column("piece")
    table.add_column("bytes", justify="right")
    for name, size in facts["purposes"][facts["for"]]["pieces"].items():
        table.add_row(name, _gb(size))
    return table


def _advise(facts: dict[str, Any], here: bool) -> None:
    screen.say(Text(facts["verdict"], "bold"))
    # Headstart has no command for full fine-tuning, so that what is named there is this one's own.
    command = "plan" if facts["for"] == "full" else facts["for"]
    named = [Change(**row) for row in facts["change"]]
    mildest = {it.verdict: it for it in reversed(named)}
    # Where nothing fits, the last takes least.
    helps = [mildest[it] for it in ("tight", "fits") if it in mildest] or named[-1:]
    tell = [f"to change in headstart {command}: {it.what}: {_gb(it.peak)}, {it.verdict}" for it in helps]
    tell.append(
        f"adapter file {facts['adapter_file_bytes'] / 1e6:.1f} MB; adapt --start none without --target (every linear of the upper third) "
        f"{_gb(facts['adapt_by_default_bytes'])}"
    )
    seconds = facts["seconds"]
    if seconds is None:
        tell.append(f"time: how fast that is is not known{'; --probe measures this machine in two seconds' if here else ''}")
    else:
        tell.append(
            f"time: {seconds['adapt']:.1f} s for 20 steps, {seconds['report'] + seconds['answers']:.1f} s for the report's folds, "
            f"{1 / seconds['token']:.0f} tokens a second for one answer ({seconds['source']})"
        )
    tell.append(f"process and allocator: {facts['engine']}")
    screen.say("\n".join(tell))


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
