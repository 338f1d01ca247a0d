"""How many operators are launched: the count against what torch really dispatches, and what that makes of a card's forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoConfig, AutoModelForCausalLM

from headstart.bank import Bank, fill
from headstart.lm import tiny
from headstart.lm.batch import Encoded
from headstart.lm.graft import Grafted
from headstart.lm.objective import lower, objective
from headstart.lm.packed import reader
from headstart.lm.places import Places, Turn
from headstart.plan import operators
from headstart.plan.cards import card
from headstart.plan.clock import CALL, operations, speed, times
from headstart.plan.setting import Setting
from headstart.plan.shape import shape_of
from headstart.plan.source import model
from headstart.terms import ALL_LINEAR
from headstart.train.adapt import Piece, Schedule, adapt

Q_V = ("q_proj", "v_proj")
LLAMA = model("HuggingFaceTB/SmolLM2-135M-Instruct").shape


class Counted(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def grafted(family: str, layers: int, target: Sequence[str] | str, lowest: int = 0) -> Grafted:
    config = AutoConfig.for_model(family, **(tiny.FAMILIES[family] | {"num_hidden_layers": layers}))
    return Grafted(AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16), target, range(lowest, layers))


def launched(family: str, layers: int, target: Sequence[str] | str, lowest: int, checkpoint: bool) -> int:
    """In a step of one piece, the layers below run in it; the second, as the first makes Adam's memory."""
    net, rows = grafted(family, layers, target, lowest), [Encoded((1,) * 8, (1,) * 8)] * 2
    net.checkpoint(checkpoint)

    def draw(_: int) -> list[Piece]:
        return objective(net, [(1, row) for row in rows], 2, lower(net, rows[:1]))

    counts = []
    for steps in (1, 2):
        begun = fill(net.blank(0), 1)
        with Counted() as counted:
            adapt(begun, draw, Schedule(steps=steps))
        counts.append(counted.count)
    return counts[1] - counts[0]


def foretold(family: str, layers: int, target: tuple[str, ...], lowest: int, checkpoint: bool) -> float:
    shape = shape_of(tiny.FAMILIES[family] | {"model_type": family, "num_hidden_layers": layers}, family)
    setting = Setting(target=target, lowest=lowest, checkpoint=checkpoint, examples=2, length=16, answer=8)
    return operators.of_a_step(shape, setting, 1)


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("target", [Q_V, (ALL_LINEAR,)])
def test_a_step_launches_as_many_as_are_counted(target: tuple[str, ...], checkpoint: bool) -> None:
    told = target[0] if target == (ALL_LINEAR,) else target
    real = [launched("llama", layers, told, 0, checkpoint) for layers in (3, 9)]
    mine = [foretold("llama", layers, target, 0, checkpoint) for layers in (3, 9)]
    assert mine[1] - mine[0] == pytest.approx(real[1] - real[0], rel=0.03)
    assert mine[1] == pytest.approx(real[1], rel=0.1)


def test_layers_below_are_counted_too() -> None:
    assert foretold("llama", 9, (ALL_LINEAR,), 6, False) == pytest.approx(launched("llama", 9, ALL_LINEAR, 6, False), rel=0.1)


@pytest.mark.parametrize("family", ["qwen2", "qwen3", "mistral", "phi3"])
def test_other_families_are_near(family: str) -> None:
    real = launched(family, 9, ALL_LINEAR, 0, False)
    assert 0.7 * real < foretold(family, 9, (ALL_LINEAR,), 0, False) < 1.35 * real


@pytest.mark.parametrize("worn", [False, True])
def test_a_token_launches_as_many_as_are_counted(worn: bool) -> None:
    net = grafted("llama", 9, ALL_LINEAR)
    read, places = reader(net), Places(1, 4)
    bank: Bank = fill(net.blank(0), 1) if worn else {}
    turns = [Turn(places.join([], 0), int(worn), (0,))]
    with torch.inference_mode():
        read(places, bank, turns)
        with Counted() as counted:
            read(places, bank, turns).argmax(-1).tolist()
    shape = shape_of(tiny.FAMILIES["llama"] | {"model_type": "llama", "num_hidden_layers": 9}, "llama")
    mine = operators.of_a_token(shape, Setting(target=(ALL_LINEAR,)))
    assert 0.9 * counted.count < mine < (1.1 if worn else 1.7) * counted.count


def test_a_small_base_on_a_card_waits_for_what_is_launched() -> None:
    fast = speed(card("H200"))
    assert fast is not None
    setting = Setting(folds=0)
    told = times(LLAMA, setting, fast).adapt
    assert told == pytest.approx(20 * operators.of_a_step(LLAMA, setting, 20) * CALL)
    assert times(LLAMA, setting, replace(fast, arithmetic=2 * fast.arithmetic)).adapt == told
    assert times(LLAMA, setting, replace(fast, apart=False)).adapt > told, "a processor computes where it launches"


def test_what_is_computed_once_is_shared_by_all_steps() -> None:
    alone, chained = (Setting(target=(ALL_LINEAR,), lowest=20, prefix=prefix, folds=0) for prefix in (False, True))
    assert operations(LLAMA, alone, 1) < operations(LLAMA, chained, 1), "a conversation looks further back"
    assert operations(LLAMA, alone, 20) < operations(LLAMA, alone, 1)
    assert operations(LLAMA, chained, 20) == operations(LLAMA, chained, 1)
