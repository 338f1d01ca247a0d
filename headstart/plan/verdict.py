"""Does it fit, and if not, which number is to be changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, final

from headstart.plan.cards import Place
from headstart.plan.forecast import CPU, GPU, UNCOMPILED, Engine, Forecast, forecast
from headstart.plan.setting import Setting
from headstart.plan.shape import Shape
from headstart.terms import ALL_LINEAR, Purpose, upper_third

Verdict = Literal["fits", "tight", "no"]
PACKINGS = ("8bit", "4bit")
"""Precisions that take less, the milder first; what they do to answers is measured in `docs/benchmarks.md`."""
TIGHT = 0.9
"""Share of the memory from which on a forecast that fits is called tight: as much as the forecast has been wrong by."""


@final
@dataclass(frozen=True)
class Change:
    """A setting that takes less."""

    what: str
    """In the words of the command that does what is planned; of `headstart plan` where none does."""
    peak: int
    verdict: Verdict


def planned(shape: Shape, setting: Setting, purpose: Purpose, place: Place) -> Forecast:
    """The forecast of a purpose at a place; a server that has no room for weights a second time keeps them once."""
    told = forecast(shape, setting, purpose, engine_of(place), None if place.gpu else place.whole)
    return told if told.peak <= place.memory else forecast(shape, setting, purpose, engine_of(place))


def engine_of(place: Place) -> Engine:
    """What the program itself takes there."""
    return GPU if place.gpu else CPU if place.compiled else UNCOMPILED


def judge(peak: int, place: Place) -> Verdict:
    """Whether so many bytes fit."""
    return "no" if peak > place.memory else "tight" if peak > TIGHT * place.memory else "fits"


def changes(shape: Shape, setting: Setting, purpose: Purpose, place: Place) -> list[Change]:
    """What to change, the mildest first, up to the first that fits; all of them where none does.

    Only what takes less than all before it is named.
    """
    found: list[Change] = []
    least = planned(shape, setting, purpose, place).peak
    for what, milder in _milder(shape, setting, purpose):
        peak = planned(shape, milder, purpose, place).peak
        if peak < least:
            least = peak
            found.append(Change(what, peak, judge(peak, place)))
            if found[-1].verdict == "fits":
                break
    return found


def _milder(shape: Shape, setting: Setting, purpose: Purpose) -> Iterator[tuple[str, Setting]]:
    """Settings by how much they give up, each on top of what gives up nothing but time."""
    if purpose == "adapt":
        yield from _adapting(shape, setting)
    elif purpose == "serve":
        yield from _serving(setting)
    elif purpose == "meta-train":
        yield from _meta_training(setting)
    else:
        for examples in _halves(setting.examples, 1):
            yield f"--examples {examples}", replace(setting, examples=examples)


def _packings(setting: Setting) -> list[Setting]:
    """In fewer bits than asked for, the milder first."""
    left = PACKINGS[PACKINGS.index(setting.precision) + 1 :] if setting.precision in PACKINGS else PACKINGS
    return [replace(setting, precision=it) for it in left]


def _serving(setting: Setting) -> Iterator[tuple[str, Setting]]:
    yield from _answering(setting)
    for packed in _packings(setting):
        yield f"--precision {packed.precision}", packed
        yield from ((f"--precision {packed.precision} {what}", milder) for what, milder in _answering(packed))


def _answering(setting: Setting) -> Iterator[tuple[str, Setting]]:
    for rows in _halves(setting.rows, 1):
        yield f"--rows {rows}", replace(setting, rows=rows)
    for context in _halves(setting.context, 64):
        # No option bounds a request: whoever asks does.
        yield f"--rows 1, requests of {context} tokens", replace(setting, rows=1, context=context)


def _meta_training(setting: Setting) -> Iterator[tuple[str, Setting]]:
    # The learner is what decides of the order.
    once, said = replace(setting, order=1), "--learner fomaml " if setting.order == 2 else ""
    if said:
        yield said.strip(), once
    for tasks in _halves(setting.tasks, 1):
        yield f"{said}outer.batch={tasks}", replace(once, tasks=tasks)
    for examples in _halves(setting.examples, 1):
        yield f"{said}outer.batch=1 tasks.shots={examples}", replace(once, tasks=1, examples=examples)


def fitting(shape: Shape, setting: Setting, purpose: Purpose, place: Place) -> Setting | None:
    """As asked, or in as few bits as it takes to fit when nothing else is given up but time; None: in none."""
    for it in (setting, *_packings(setting)):
        if planned(shape, rungs(it)[-1][1], purpose, place).peak <= place.memory:
            return it
    return None


def rungs(setting: Setting) -> list[tuple[str, Setting]]:
    """What `headstart adapt` steps down by itself where memory is short: time is given up, and nothing of the adapter's form."""
    again = replace(setting, checkpoint=True)
    return [
        ("as asked", setting),
        ("layers computed again", again),
        ("layers computed again, 256 tokens and one question at once", replace(again, piece=min(setting.piece, 256), asked=1)),
    ]


def _adapting(shape: Shape, setting: Setting) -> Iterator[tuple[str, Setting]]:
    upper = max(setting.lowest, upper_third(shape.layers).start)
    layers = f"--target {','.join(setting.target)} --layers {upper}-{shape.layers - 1}"
    for kept in (setting, *_packings(setting)):
        packed, ladder = [f"--precision {kept.precision}"] if kept is not setting else [], rungs(kept)
        for what, milder in ladder[kept is setting :]:
            yield ", ".join([*packed, *([what] if milder.checkpoint else [])]) + " (adapt does so by itself)", milder
        said, least = " ".join([*packed, layers]), replace(ladder[-1][1], lowest=upper)
        yield said, least
    for length in _halves(setting.length, 16):
        shorter = replace(least, length=length, answer=max(1, setting.answer * length // setting.length))
        yield f"{said}, examples of {length} tokens", shorter


def _halves(size: int, least: int) -> Iterator[int]:
    while size // 2 >= least:
        size //= 2
        yield size


def as_by_default(shape: Shape, setting: Setting) -> Setting:
    """What `headstart adapt` bends where no target is named: every linear of the upper third."""
    return replace(setting, target=(ALL_LINEAR,), lowest=upper_third(shape.layers).start)
