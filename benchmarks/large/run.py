"""What does it take to teach a base of seven billion? An adapter on q_proj and v_proj, twenty steps of Adam, on a card.

python benchmarks/large/run.py [--device cuda] [--out FOLDER] [--seconds N] [--only NAME]. The weights and the examples are random: neither
memory nor speed reads them. What is timed is what `headstart adapt` does with an adapter; loading the base is not in it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from drawn import chained, drawn, pairs, shipped  # noqa: E402
from heights import Cells, Facts, arguments, give_back, height, held  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from headstart.adapters import peft  # noqa: E402
from headstart.bank import Weights, fill, take  # noqa: E402
from headstart.lm.batch import Encoded  # noqa: E402
from headstart.lm.graft import Grafted  # noqa: E402
from headstart.lm.objective import lower, objective  # noqa: E402
from headstart.plan.forecast import GPU, Engine, forecast  # noqa: E402
from headstart.plan.setting import ALL_LINEAR, Setting, upper_third  # noqa: E402
from headstart.plan.shape import Shape, shape_of  # noqa: E402
from headstart.train.adapt import Schedule, adapt  # noqa: E402

BARE = Engine(0, 0.0, 0, 0, "nothing beside the tensors")
BASES = ("Llama-2-7b-hf", "Llama-3.1-8B")
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

    def setting(self, shape: Shape) -> Setting:
        """The same for the planner."""
        return Setting(
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


CELLS = (
    Taught(5, 64, True),
    Taught(10, 128, True),
    Taught(5, 64, False),
    Taught(10, 128, False),
    Taught(10, 128, True, piece=256),
    Taught(10, 64, True),
    Taught(5, 128, True),
    Taught(5, 64, False, piece=128),
    Taught(10, 128, False, piece=128),
    Taught(10, 64, False),
    Taught(5, 128, False),
    Taught(10, 128, True, chain=True),
    Taught(10, 128, False, chain=True, upper=True),
    Taught(10, 128, True, chain=True, upper=True),
)
"""The most telling first, as time may end."""


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


def cell(model: PreTrainedModel, shape: Shape, base: int, it: Taught, device: torch.device) -> Facts:
    """One way to teach, measured beside what is forecast of it."""
    setting = it.setting(shape)
    layers = range(setting.lowest, shape.layers)
    rows = pairs(min(shape.vocabulary, 30_000), it.examples, it.length, setting.answer)
    rows = chained(rows, it.piece) if it.chain else rows
    net = Grafted(model, "all-linear" if it.upper else setting.target, layers)
    try:
        begin = net.blank(0, setting.rank)
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


def base_of(name: str, cells: Cells, device: torch.device) -> tuple[PreTrainedModel, Shape, int]:
    """A base in bf16, its shape, and the bytes that it holds."""
    config = shipped(name)
    before = held(device)
    model, facts = height(partial(drawn, config, torch.bfloat16, device), device)
    shape = shape_of(config, name)
    alike = sum(it.numel() for it in model.parameters()) == shape.parameters
    full = forecast(shape, Setting(), "full", BARE)
    cells.note(
        **{
            name: {
                "made": facts,
                "parameters": shape.parameters,
                "as_the_planner_counts": alike,
                "weights": 2 * shape.parameters,
                "full_finetune_forecast": full.peak,
                "full_finetune_beside_the_base": full.peak - full.pieces["base"],
            }
        }
    )
    return model, shape, held(device) - before


def measured(name: str, cells: Cells, device: torch.device, chosen: tuple[Taught, ...]) -> None:
    """Every cell of one base, its first step not counted: it loads the kernels."""
    model, shape, base = base_of(name, cells, device)
    net = Grafted(model)
    teach(net, net.blank(0), pairs(256, 2, 16, 8), Taught(2, 16, False), 1)
    net.remove()
    give_back(device)
    # The products' own workspace is taken once, and stays.
    cells.note(**{f"{name}, workspaces": held(device) - base})
    for it in chosen:
        said: dict[str, Any] = {"base_name": name, **asdict(it)}
        found = cells.add(said, partial(cell, model, shape, base, it, device))
        brief = ("seconds", "beside_the_base", "forecast_beside_the_base", "error")
        print(json.dumps(said | {key: found[key] for key in brief if key in found}), flush=True)


def main() -> None:
    asked = arguments("What does it take to teach a base of seven billion?", 60)
    cells = Cells((asked.out or HERE / "results") / "large.json", asked.device, asked.seconds)
    names = [asked.only] if asked.only else BASES
    for name in names:
        if cells.left > 0:
            measured(name, cells, asked.device, CELLS if name == names[0] else CELLS[:4])
            give_back(asked.device)


if __name__ == "__main__":
    main()
