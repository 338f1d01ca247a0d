"""A small learner and a job made of it: a straight line in three features, adapted by steps of gradient descent."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from headstart.bank import Weights
from headstart.episode import Asked, Episodes, Labelled
from headstart.learners.learner import Meta
from headstart.tasks.sine import Sine
from headstart.train.checkpoint import FACTS, TENSORS
from headstart.train.job import Job, carry_out
from headstart.train.meta import Watch
from headstart.train.outer import Outer
from headstart.train.place import Place
from headstart.train.run import CHECKPOINT, LOG, RESULT
from headstart.train.same import CONFIG as SETTINGS

EXACT = Place(torch.device("cpu"), torch.float64)
CONFIG = "seed = 0\n"


@dataclass(frozen=True)
class Waves:
    """y = w . (sin x, cos x, 1): first-order MAML on what a sine task is made of."""

    steps: int = 1
    rate: float = 0.1
    net: Any = None

    def begin(self, seed: int) -> Meta:
        rng = torch.Generator().manual_seed(seed)
        return {
            "b.slope": torch.randn(2, generator=rng, dtype=torch.float64),
            "a.level": torch.randn(1, generator=rng, dtype=torch.float64),
        }

    def adapt(self, meta: Meta, support: Labelled) -> Tensor:
        fast = torch.cat([meta["b.slope"], meta["a.level"]]).expand(support.tasks, 3)
        for _ in range(self.steps):
            fast = fast - self.rate * gradient(fast, support)
        return fast

    def predict(self, meta: Meta, fast: Tensor, asked: Asked) -> Tensor:
        return (features(asked.inputs) @ fast[asked.owners][..., None]).squeeze(-1)[..., None]

    def meta_gradient(self, meta: Meta, episodes: Episodes) -> tuple[Weights, Tensor]:
        fast = self.adapt(meta, episodes.support)
        down = gradient(fast, episodes.query).mean(0)
        losses = episodes.query.losses(self.predict(meta, fast, episodes.query.asked))
        return {"b.slope": down[:2], "a.level": down[2:]}, losses


def features(inputs: Tensor) -> Tensor:
    """(tasks, n, 1) -> (tasks, n, 3)."""
    return torch.cat([inputs.sin(), inputs.cos(), torch.ones_like(inputs)], dim=2)


def gradient(fast: Tensor, shown: Labelled) -> Tensor:
    """Of each task's mean squared error, (tasks, 3)."""
    x = features(shown.inputs)
    return 2 * (x.mT @ (x @ fast[..., None] - shown.targets)).squeeze(-1) / x.shape[1]


def job(steps: int = 20, every: int = 5, batch: int = 6, **outer: Any) -> Job:
    """A job of a fraction of a second."""
    learner, tasks = Waves(), Sine(shots=5, queries=5, dtype=torch.float64)
    watch = Watch(every=every, tasks=9, test=11, chunk=4)
    trials = {"1": learner, "3": replace(learner, steps=3)}
    return Job(learner, trials, tasks, tasks, Outer(steps, batch, rate=0.05, **outer), watch, place=EXACT)


def left_by(folder: Path) -> dict[str, Any]:
    """All that a run leaves behind, without times and places."""
    tensors = {name: w.tolist() for name, w in load_file(folder / CHECKPOINT / TENSORS).items()}
    result = json.loads((folder / RESULT).read_text())
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return {
        "tensors": tensors,
        "facts": (folder / CHECKPOINT / FACTS).read_text(),
        "result": {key: value for key, value in result.items() if key not in ("seconds", "run", "processes")},
        "log": [{key: value for key, value in line.items() if key != "time"} for line in lines],
        "config": (folder / SETTINGS).read_text(),
    }


def main(folder: str, steps: int, pause: float, crash: str = "") -> None:
    """Carry a job out as a process of its own, slowly enough to be killed, keeping every state; crash: `rank:step` to die at, once."""
    import os
    import signal
    import time

    from headstart.train.spread import join

    torch.set_num_threads(1)
    with join(EXACT.device) as team:
        rank, _, step = crash.partition(":")

        def tell(state: Any) -> None:
            time.sleep(pause)
            mark = Path(folder).with_suffix(".crashed")
            if crash and (team.rank, state.step) == (int(rank), int(step)) and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        carry_out(job(steps), Path(folder), CONFIG, team=team, tell=tell, kept=0.0)
