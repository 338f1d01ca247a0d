"""One way to adapt, in a process of its own: python way.py NAME CONFIG.toml SEED -> a JSON line.

- peft_documented: fp32, whole logits, one example a step, q_proj and v_proj of all layers, as its quick tour has it;
- peft_written_well: the fastest dtype of this machine, all examples in one batch sorted by length, q_proj and v_proj;
- peft_written_well_same_sites: the same at the sites that ours bends.
"""

from __future__ import annotations

import json
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

sys.path.insert(0, str(Path(__file__).parent.parent))

from heights import height

from headstart.bank import fill, take
from headstart.episode import Example
from headstart.lm.batch import Batch, Encoded
from headstart.lm.load import Base, hush, load
from headstart.tasks.dialects import draw_task
from headstart.teach import Recipe, graft
from headstart.teach.fit import fit
from headstart.train.adapt import Schedule

Logits = Callable[[Batch], torch.Tensor]


@dataclass
class Outcome:
    seconds: float
    steps: int
    logits: Logits
    before: list[Example] = field(default_factory=list)
    """examples in front of each question, where the way keeps them"""


def ours(base: Base, support: list[Example], config: dict[str, Any]) -> Outcome:
    """As `headstart adapt` does it: the examples in front of each other."""
    recipe = Recipe(steps=config["passes"], rank=config["rank"])
    return fitted(base, support, recipe, before=support)


def ours_pairs(base: Base, support: list[Example], config: dict[str, Any]) -> Outcome:
    """As `headstart adapt --no-prefix` does it: the same plain pairs that PEFT's ways get."""
    return fitted(base, support, Recipe(steps=config["passes"], rank=config["rank"], prefix=False), before=[])


def fitted(base: Base, support: list[Example], recipe: Recipe, before: list[Example]) -> Outcome:
    since = time.perf_counter()
    net = graft(base, recipe)
    bank, steps = fit(net, base.chat, net.blank(0), {1: support}, recipe, lambda *_: None)
    seconds = time.perf_counter() - since
    worn = fill(take(bank, 1), 1)
    return Outcome(seconds, steps, lambda batch: net(worn, torch.ones(len(batch.tokens), dtype=torch.int64), batch), before)


def peft_documented(base: Base, support: list[Example], config: dict[str, Any]) -> Outcome:
    lora = LoraConfig(r=config["rank"], lora_alpha=config["rank"], target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    return peft_loop(base, lora, [[base.chat.example(e)] for e in support], config)


def peft_written_well(base: Base, support: list[Example], config: dict[str, Any]) -> Outcome:
    lora = LoraConfig(r=config["rank"], lora_alpha=config["rank"], target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    return peft_loop(base, lora, [sorted(map(base.chat.example, support), key=len)], config)


def peft_written_well_same_sites(base: Base, support: list[Example], config: dict[str, Any]) -> Outcome:
    net = graft(base, Recipe())
    layers = sorted({int(name.split(".")[2]) for name in net.sites})
    targets = sorted({name.rpartition(".")[2] for name in net.sites})
    net.remove()
    lora = LoraConfig(
        r=config["rank"], lora_alpha=config["rank"], target_modules=targets, layers_to_transform=layers, task_type="CAUSAL_LM"
    )
    return peft_loop(base, lora, [sorted(map(base.chat.example, support), key=len)], config)


def peft_loop(base: Base, lora: LoraConfig, groups: list[list[Encoded]], config: dict[str, Any]) -> Outcome:
    """Adam over the groups, a step each, with the same rates as ours over the passes."""
    since = time.perf_counter()
    torch.manual_seed(0)
    model = get_peft_model(base.model, lora)
    model.train()
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=config["rate"], betas=Schedule().betas)
    steps = config["passes"] * len(groups)
    schedule = Schedule(steps=steps, rate=config["rate"] if len(groups) == 1 else config["rate"] / 3)
    inputs = [padded(group) for group in groups]
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = schedule.rate_at(step)
        optimiser.zero_grad()
        model(**inputs[step % len(groups)], use_cache=False).loss.backward()
        optimiser.step()
    seconds = time.perf_counter() - since
    model.eval()
    return Outcome(seconds, steps, lambda batch: model(batch.tokens).logits[batch.owner, batch.place])


def padded(group: list[Encoded]) -> dict[str, torch.Tensor]:
    """Tokens, mask and labels as transformers wants them: what is not to be learnt is -100."""
    batch = Batch.of(group)
    labels = torch.full_like(batch.tokens, -100)
    labels[batch.owner, batch.place + 1] = batch.labels
    mask = torch.zeros_like(batch.tokens)
    for row, e in enumerate(group):
        mask[row, : len(e)] = 1
    return {"input_ids": batch.tokens, "attention_mask": mask, "labels": labels}


def right(logits: Logits, rows: list[Encoded]) -> float:
    """The share of answers whose every token is the likeliest one, given the tokens before it."""
    whole = 0
    with torch.inference_mode():
        for e in rows:
            batch = Batch.of([e])
            whole += bool((logits(batch).argmax(-1) == batch.labels).all())
    return whole / len(rows)


def main(name: str, config_path: str, seed: int) -> None:
    hush()
    config = tomllib.loads(Path(config_path).read_text())
    base = load(dtype=torch.float32 if name == "peft_documented" else None)
    support, unseen = draw_task(seed, config["examples"], config["unseen"])
    outcome, taken = height(lambda: globals()[name](base, support, config), torch.device("cpu"))
    facts = {
        "way": name,
        "task": seed,
        "seconds": outcome.seconds,
        "steps": outcome.steps,
        "loaded_bytes": taken["before"],
        "peak_bytes": taken["peak"],
        "tokens": sum(len(base.chat.example(e)) for e in support) / len(support),
        "dtype": str(base.model.dtype).removeprefix("torch."),
        "unseen_right": right(outcome.logits, [base.chat.lay(e, outcome.before) for e in unseen]),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
