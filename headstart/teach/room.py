"""Teach in the memory that there is: in the first way that fits, and in the next where the system refuses memory after all."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from headstart import heap
from headstart.episode import Example
from headstart.errors import BaseRefused, NoRoom
from headstart.lm.load import Base, Tell
from headstart.lm.sites import layer_of
from headstart.plan.cards import Place
from headstart.plan.memory import place_of
from headstart.plan.moments import GLUE
from headstart.plan.setting import Setting
from headstart.plan.shape import shape_of
from headstart.plan.source import Model
from headstart.plan.verdict import TIGHT, planned, rungs
from headstart.teach.choose import Beginning
from headstart.teach.recipe import RANK, Recipe
from headstart.terms import ALL_LINEAR, upper_third

T = TypeVar("T")
_AMPLE = 2.5
"""Free memory of which the C library may keep what it likes, in forecasts; it held up to 2.3 of them, see `benchmarks/planner`."""


def within(base: Base, examples: Sequence[Example], begun: Sequence[Beginning], work: Callable[[list[Beginning]], T], tell: Tell) -> T:
    """Do it in the first way that fits, and in the next where it does not after all; says so where that is another than was asked for.

    Args:
        base: loaded, its weights counted already.
        examples: what is taught.
        begun: from where, as it was asked for; all in the same way.
        work: teaches from there.
        tell: told of every step down.

    Raises:
        NoRoom: none fits; nothing has been begun, or the last was refused memory.
    """
    asked = [setting_of(base, examples, it.recipe) for it in begun]
    ladder = rungs(asked[0])
    first = _first(base, [[rungs(setting)[number][1] for setting in asked] for number in range(len(ladder))], tell)
    for number, (what, setting) in enumerate(ladder[first:], first):
        if number:
            tell(f"memory is short: {what}")
        try:
            return work([_taught_by(it, setting) for it in begun])
        except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
            if not _refused(error):
                raise
            tell("the system refused memory; what was taken is given back")
        _give_back()
    raise NoRoom("There is not enough memory for any setting: fewer or shorter examples, fewer --layers, or a smaller base.")


def _taught_by(it: Beginning, setting: Setting) -> Beginning:
    return replace(it, recipe=replace(it.recipe, checkpoint=setting.checkpoint, piece=setting.piece, asked=setting.asked))


def _first(base: Base, rungs_of_all: Sequence[Sequence[Setting]], tell: Tell) -> int:
    """The first rung on which every beginning fits into what is free, the base being there already."""
    try:
        model, place = model_of(base), place_of(base.model.device)
    except BaseRefused as refused:
        tell(f"memory is not planned: {refused}")
        return 0
    try:
        needs = [max(beside(model, setting, place) for setting in settings) for settings in rungs_of_all]
    except BaseRefused:
        # Of a target or a layer that is not there; whoever bends it says so.
        return 0
    if not place.gpu and place.memory < _AMPLE * needs[0]:
        heap.lean()
    found = first_rung(needs, place)
    if found is None:
        raise NoRoom(
            f"{min(needs) / 1e9:.2f} GB beside the base are needed at the least, and {place.memory / 1e9:.2f} GB are free on {place.name}: "
            "fewer or shorter examples, fewer --layers, a smaller base, or other programs closed."
        )
    return found


def first_rung(needs: Sequence[int], place: Place) -> int | None:
    """The first rung whose bytes fit; None: on none is there room."""
    return next((number for number, need in enumerate(needs) if need <= TIGHT * place.memory), None)


def model_of(base: Base) -> Model:
    """A loaded base as the planner knows it.

    Raises:
        BaseRefused: a family that cannot be forecast.
    """
    # However its linears are packed, its shape is that of the base that it was packed from.
    config = base.model.config.get_text_config().to_dict() | {"quantization_config": None}
    return Model(base.name, shape_of(config, base.name), "the loaded base")


def beside(model: Model, setting: Setting, place: Place) -> int:
    """What it takes beside the base and the program, which are there."""
    told = planned(model.shape, setting, "adapt", place)
    return told.peak - told.pieces["base"] - told.pieces["process"]


def precision_of(base: Base) -> str:
    """What a loaded base is kept in, in the planner's words."""
    return "fp32" if base.model.dtype == torch.float32 else base.precision


def setting_of(base: Base, examples: Sequence[Example], recipe: Recipe) -> Setting:
    """The recipe as the planner knows it: the longest example stands for all."""
    laid = [base.chat.lay(example) for example in examples]
    names = recipe.target or (ALL_LINEAR,)
    lowest = min(layer_of(name) or 0 for name in names) if recipe.target else upper_third(base.layers).start
    lowest = min(recipe.layers) if recipe.layers else lowest
    return Setting(
        precision=precision_of(base),
        rank=recipe.rank or RANK,
        target=tuple(dict.fromkeys(name.rpartition(".")[2] for name in names)),
        lowest=lowest,
        examples=len(examples),
        length=max(len(it) for it in laid),
        answer=max(len(it.completion) for it in laid),
        head=_head(base, examples) if recipe.prefix else 0,
        folds=recipe.folds,
        prefix=recipe.prefix,
        checkpoint=recipe.checkpoint,
        piece=recipe.piece,
        asked=recipe.asked,
    )


def _head(base: Base, examples: Sequence[Example]) -> int:
    """Tokens that two examples in front of each other have once."""
    pair = examples[:2]
    apart = sum(len(base.chat.lay(it)) for it in pair) + GLUE * (len(pair) - 1)
    return max(0, apart - len(base.chat.chain(pair)))


def _refused(error: BaseException) -> bool:
    """Whether it is memory that was refused; torch has no class of its own for a CPU's."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def _give_back() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
