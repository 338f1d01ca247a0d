"""`headstart plan`: will it run, and what would have to be changed; without reading a weight."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.table import Table

from headstart import screen
from headstart.errors import HeadstartError, SettingsError
from headstart.plan.cards import Place, amount, card, here
from headstart.plan.clock import Speed, speed, times
from headstart.plan.forecast import CPU, GPU, PURPOSES, Forecast, Purpose, base_bytes, file_bytes
from headstart.plan.setting import BYTES, Setting
from headstart.plan.source import Model, model
from headstart.plan.verdict import Change, as_by_default, changes, judge, planned

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
        facts = _facts(model(name), _place(card_name, memory), purpose, setting, probed)
    except HeadstartError as error:
        if not check:
            raise
        screen.warn(f"{error.word}: {error}")
        return UNKNOWN
    screen.emit(facts) if as_json else _show(facts)
    return NO if check and facts["verdict"] == "no" else 0


def _place(card_name: str | None, memory: str | None) -> Place:
    if card_name and memory:
        raise SettingsError("--card and --memory were both given: one of them is wanted.")
    return card(card_name) if card_name else amount(memory) if memory else here()


def _facts(base: Model, place: Place, purpose: Purpose, setting: Setting, probed: bool) -> dict[str, Any]:
    shape = base.shape
    _check(setting, shape.context)
    all_of = {it: planned(shape, setting, it, place) for it in PURPOSES}
    by_default = planned(shape, as_by_default(shape, setting), "adapt", place)
    mine = all_of[purpose]
    verdict = judge(mine.peak, place)
    engine, clocked = (GPU if place.gpu else CPU), _speed(place, probed, setting)
    return {
        "model": base.name,
        "shape_from": base.source,
        "family": shape.family,
        "parameters": shape.parameters,
        "layers": shape.layers,
        "memory": {"name": place.name, "bytes": place.memory, "source": place.source or None},
        "for": purpose,
        "fits": verdict != "no",
        "verdict": verdict,
        "change": [asdict(it) for it in ([] if verdict == "fits" else changes(shape, setting, purpose, place))],
        "base_bytes": base_bytes(shape, setting.precision),
        "base_bytes_by_precision": {precision: base_bytes(shape, precision) for precision in BYTES},
        "serve_bytes": all_of["serve"].peak,
        "adapt_bytes": all_of["adapt"].peak,
        "adapt_by_default_bytes": by_default.peak,
        "meta_train_bytes": all_of["meta-train"].peak,
        "full_finetune_bytes": all_of["full"].peak,
        "adapter_file_bytes": file_bytes(shape, setting),
        "purposes": {it: _told(found, place) for it, found in all_of.items()},
        "setting": asdict(setting),
        "seconds": {**asdict(times(shape, setting, clocked)), "source": clocked.source} if clocked else None,
        "engine": engine.source,
        "note": base.differs or None,
    }


def _check(setting: Setting, context: int) -> None:
    if not 0 < setting.answer <= setting.length:
        raise SettingsError(f"--answer is {setting.answer}; 1 to {setting.length} is wanted, the tokens of an example.")
    if max(setting.length, setting.context) > context:
        raise SettingsError(f"{max(setting.length, setting.context)} tokens do not fit the base's context of {context}.")


def _speed(place: Place, probed: bool, setting: Setting) -> Speed | None:
    if not probed:
        return speed(place)
    import torch

    from headstart.plan.probe import probe

    return probe(
        {"fp16": torch.float16, "fp32": torch.float32}.get(setting.precision, torch.bfloat16),
        "cuda" if torch.cuda.is_available() else "cpu",
    )


def _told(found: Forecast, place: Place) -> dict[str, Any]:
    return {"peak_bytes": found.peak, "verdict": judge(found.peak, place), "moment": found.moment, "pieces": dict(found.pieces)}


def _show(facts: dict[str, Any]) -> None:
    """For people."""
    screen.OUT.print(
        f"{facts['model']}: {facts['family']}, {facts['parameters'] / 1e9:.2f} billion parameters, shape from {facts['shape_from']}; "
        f"in {facts['setting']['precision']} on {facts['memory']['name']} with {_gb(facts['memory']['bytes'])}",
        soft_wrap=True,
        highlight=False,
    )
    if facts["note"]:
        screen.warn(f"careful: {facts['note']}")
    screen.OUT.print(_purposes(facts))
    screen.OUT.print(_pieces(facts))
    _advise(facts)


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


def _advise(facts: dict[str, Any]) -> None:
    tell = [f"[bold]{facts['verdict']}[/bold]"]
    tell += [f"to change: {it.what}: {_gb(it.peak)}, {it.verdict}" for it in (Change(**row) for row in facts["change"])]
    tell.append(
        f"adapter file {facts['adapter_file_bytes'] / 1e6:.1f} MB; adapt without --target (every linear of the upper third) "
        f"{_gb(facts['adapt_by_default_bytes'])}"
    )
    seconds = facts["seconds"]
    if seconds is None:
        tell.append("time: this place's speed is not known; --probe measures this machine in two seconds")
    else:
        tell.append(
            f"time: {seconds['adapt']:.1f} s for 20 steps, {seconds['report']:.1f} s for the report's folds, "
            f"{1 / seconds['token']:.0f} tokens a second for one answer ({seconds['source']})"
        )
    tell.append(f"process and allocator: {facts['engine']}")
    screen.OUT.print("\n".join(tell), soft_wrap=True, highlight=False)


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
