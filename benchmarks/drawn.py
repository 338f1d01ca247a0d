"""Bases of random weights, made in the memory of the device on which they compute, from the shapes that the planner ships."""

from __future__ import annotations

import json
import random
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from headstart.lm.batch import Encoded


def shipped(name: str) -> dict[str, Any]:
    """The config of a base by its name or the end of it, as `headstart plan` knows it; or one that lies in a file."""
    if name.endswith(".json"):
        told: dict[str, Any] = json.loads(Path(name).read_text(encoding="utf-8"))
        return told
    rows = json.loads((files("headstart.plan") / "bases.json").read_text(encoding="utf-8"))["bases"]
    found: dict[str, Any] = next(row["config"] for row in rows if any(it.lower().endswith(name.lower()) for it in row["names"]))
    return found


def drawn(config: dict[str, Any], dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    """A model with random weights; no number of it is ever elsewhere or in another precision."""
    config = AutoConfig.for_model(**{**config, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0})
    torch.manual_seed(0)
    with device:
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
    strangers = {name for name, it in model.named_parameters() if it.device.type != device.type or it.dtype != dtype}
    if strangers:
        raise RuntimeError(f"{sorted(strangers)[:3]} are not {dtype} on {device}")
    return model.requires_grad_(False).eval()


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
