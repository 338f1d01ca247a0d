"""Will it run: every purpose's forecast for one base at one place, as the command line prints it and as HTTP tells it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from headstart.errors import SettingsError
from headstart.plan.cards import Place, amount, card, here
from headstart.plan.clock import Speed, times
from headstart.plan.forecast import PURPOSES, Forecast, base_bytes, file_bytes
from headstart.plan.setting import BYTES, Setting, usual
from headstart.plan.source import Model
from headstart.plan.verdict import as_by_default, changes, engine_of, judge, planned
from headstart.terms import Purpose


def where(card_name: str | None, memory: str | None) -> Place:
    """A card, an amount of memory, or this machine.

    Raises:
        SettingsError: both were named, or what is named is not known.
    """
    if card_name is not None and memory is not None:
        raise SettingsError("--card and --memory were both given: one of them is wanted.")
    return card(card_name) if card_name is not None else amount(memory) if memory is not None else here()


def facts(base: Model, place: Place, purpose: Purpose, setting: Setting, clocked: Speed | None) -> dict[str, Any]:
    """Every purpose's forecast, and the verdict on one of them.

    Args:
        base: the model.
        place: where it is to run.
        purpose: what the verdict is about.
        setting: what is planned; without a target, for what is usual in the family.
        clocked: how fast the place is; None: not known.

    Raises:
        BaseRefused, SettingsError: a setting that the base does not take.
    """
    shape = base.shape
    _check(setting, shape.context)
    setting = replace(setting, target=setting.target or usual(shape))
    all_of = {it: planned(shape, setting, it, place) for it in PURPOSES}
    by_default = planned(shape, as_by_default(shape, setting), "adapt", place)
    mine = all_of[purpose]
    verdict = judge(mine.peak, place)
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
        "setting": asdict(replace(setting, card=place.gpu)),
        "seconds": {**asdict(times(shape, setting, clocked)), "source": clocked.source} if clocked else None,
        "engine": engine_of(place).source,
        "note": "; ".join(filter(None, (base.differs, _slower(setting, place)))) or None,
    }


def _check(setting: Setting, context: int) -> None:
    if not 0 < setting.answer <= setting.length:
        raise SettingsError(f"--answer is {setting.answer}; 1 to {setting.length} is wanted, the tokens of an example.")
    if max(setting.length, setting.context) > context:
        raise SettingsError(f"{max(setting.length, setting.context)} tokens do not fit the base's context of {context}.")


def _slower(setting: Setting, place: Place) -> str:
    """That the base would be loaded in another precision than is planned; empty: it would not."""
    if setting.precision != "bf16" or place.native:
        return ""
    return "this processor has no bf16 instructions, so commands here load fp32: plan with --precision fp32"


def _told(found: Forecast, place: Place) -> dict[str, Any]:
    return {"peak_bytes": found.peak, "verdict": judge(found.peak, place), "moment": found.moment, "pieces": dict(found.pieces)}
