"""An adapter taught to a base of random weights: what it takes beside the base, and what is forecast of it.

The examples are random too: neither memory nor speed reads them. What is timed is what `headstart adapt` does with an adapter.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

sys.path.insert(0, str(Path(__file__).parent.parent))

from drawn import drawn, shipped
from heights import Cells, Facts, give_back, height, held
from planner.judge import BARE
from safetensors.torch import save_file

from headstart.adapters import peft
from headstart.bank import Weights, fill, take
from headstart.lm.batch import Encoded
from headstart.lm.graft import Grafted
from headstart.lm.objective import lower, objective
from headstart.plan.forecast import GPU, forecast
from headstart.plan.setting import Setting
from headstart.plan.shape import Shape, shape_of
from headstart.terms import ALL_LINEAR, upper_third
from headstart.train.adapt import Schedule, adapt

STEPS = 20


@dataclass(frozen=True)
class Taught:
    """What is taught, and how."""

    examples: int
    length: int
    checkpoint: bool
    piece: int = 1024
    chain: bool = False
    upper: bool = False
    """Every linear of the upper third, as `headstart adapt` bends where nobody names any; else q_proj and v_proj of all layers."""

    def setting(self, shape: Shape, precision: str) -> Setting:
        """The same for the planner."""
        return Setting(
            precision=precision,
            target=(ALL_LINEAR,) if self.upper else ("q_proj", "v_proj"),
            lowest=upper_third(shape.layers).start if self.upper else 0,
            examples=self.examples,
            length=self.length,
            answer=self.length // 2,
            folds=0,
            prefix=self.chain,
            checkpoint=self.checkpoint,
            piece=self.piece,
        )


@dataclass(frozen=True)
class Made:
    """A base that stands, and the bytes that it holds."""

    model: PreTrainedModel
    shape: Shape
    precision: str
    bytes: int


def teach(net: Grafted, begin: Weights, rows: list[Encoded], it: Taught, steps: int) -> tuple[Weights, list[float]]:
    """As `headstart.teach.fit` does it: an adapter, and its loss before each step."""
    losses: list[torch.Tensor] = []
    kept = lower(net, rows)
    parts = objective(net, [(1, row) for row in rows], 2, kept, it.piece)

    def listen(_: int, bank: Weights, loss: torch.Tensor) -> bool:
        losses.append(loss[1])
        return False

    net.checkpoint(it.checkpoint)
    try:
        bank = adapt(fill(begin, 1), lambda _: parts, Schedule(steps=steps), listen)
    finally:
        net.checkpoint(False)
    return take(bank, 1), [float(loss) for loss in losses]


def cell(made: Made, it: Taught, device: torch.device) -> Facts:
    """One way to teach, measured beside what is forecast of it."""
    shape, base, setting = made.shape, made.bytes, it.setting(made.shape, made.precision)
    layers = range(setting.lowest, shape.layers)
    rows = pairs(min(shape.vocabulary, 30_000), it.examples, it.length, setting.answer)
    rows = chained(rows, it.piece) if it.chain else rows
    net = Grafted(made.model, "all-linear" if it.upper else setting.target, layers, setting.rank)
    try:
        begin = net.blank(0)
        (weights, losses), facts = height(lambda: teach(net, begin, rows, it, STEPS), device)
    finally:
        net.remove()
    told = forecast(shape, setting, "adapt", BARE)
    return (
        facts
        | {
            "steps": len(losses),
            "losses": [losses[0], losses[-1]],
            "base": base,
            "forecast_base": told.pieces["base"],
            "beside_the_base": facts["peak"] - base,
            "reserved_beside_the_base": facts.get("reserved", facts["peak"]) - base,
            "forecast_beside_the_base": told.peak - told.pieces["base"],
            "forecast_pieces": dict(told.pieces),
            "forecast_moment": told.moment,
            "forecast_of_the_card": forecast(shape, setting, "adapt", GPU).peak,
        }
        | _sizes(weights, shape.layers)
    )


def _sizes(weights: Weights, layers: int) -> Facts:
    """Bytes of the adapter on disk: as headstart writes it, for PEFT in fp16, and in fp32."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peft.write(folder, weights, "a base of random weights", layers)
        save_file({key: w.detach().float().contiguous().cpu() for key, w in weights.items()}, folder / "fp32.safetensors")
        return {"file_fp16": (folder / peft.WEIGHTS).stat().st_size, "file_fp32": (folder / "fp32.safetensors").stat().st_size}


def base_of(name: str, precision: str, cells: Cells, device: torch.device) -> Made:
    """A base that has taken one step: the first one loads the kernels, and the products' own workspaces stay."""
    config, before = shipped(name), held(device)
    shape = shape_of(config, name)
    model, facts = height(lambda: drawn(config, precision, device).model, device)
    made = Made(model, shape, precision, held(device) - before)
    net = Grafted(model)
    teach(net, net.blank(0), pairs(256, 2, 16, 8), Taught(2, 16, False), 1)
    net.remove()
    give_back(device)
    full = forecast(shape, Setting(), "full", BARE)
    cells.note(
        **{
            name if precision == "bf16" else f"{name}, {precision}": {
                "made": facts,
                "parameters": shape.parameters,
                "workspaces": held(device) - before - made.bytes,
                "full_finetune_forecast": full.peak,
                "full_finetune_beside_the_base": full.peak - full.pieces["base"],
            }
        }
    )
    return made


def measured(name: str, precision: str, cells: Cells, device: torch.device, chosen: tuple[Taught, ...]) -> None:
    """Every cell of one base."""
    made = base_of(name, precision, cells, device)
    for it in chosen:
        said: dict[str, Any] = {"base_name": name, "precision": precision, **asdict(it)}
        found = cells.add(said, partial(cell, made, it, device))
        brief = ("seconds", "base", "beside_the_base", "forecast_beside_the_base", "card", "error")
        print(json.dumps(said | {key: found[key] for key in brief if key in found}), flush=True)


def pairs(vocabulary: int, examples: int, length: int, answer: int) -> list[Encoded]:
    """Examples of so many random tokens, the last of them an answer."""
    rng = random.Random(0)
    rows = [[rng.randrange(vocabulary) for _ in range(length)] for _ in range(examples)]
    return [Encoded(tuple(row[: length - answer]), tuple(row[length - answer :])) for row in rows]


def chained(examples: list[Encoded], budget: int) -> list[Encoded]:
    """The same in front of each other, as many as a budget of tokens holds, every answer to be predicted: `headstart adapt`'s own form."""
    each = max(1, budget // len(examples[0]))
    return [_chain(examples[at : at + each]) for at in range(0, len(examples), each)]


def _chain(examples: list[Encoded]) -> Encoded:
    tokens: tuple[int, ...] = ()
    earlier: tuple[int, ...] = ()
    for it in examples[:-1]:
        earlier += tuple(len(tokens) + at for at in it.targets)
        tokens += it.tokens
    return Encoded(tokens + examples[-1].prompt, examples[-1].completion, earlier)
