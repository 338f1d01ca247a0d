"""Meta-training tasks a second: all tasks in lockstep against the same algorithm looped over tasks, in turns in one process.

The loops are what is usual: `torch.func.functional_call` a task at a time, and the package `higher` where it is installed
(`pip install higher`; learn2learn's last release no longer builds). Images are random numbers: speed does not read them.

python benchmarks/lockstep/run.py [--device cuda]: on a GPU ours is recorded too, and results are kept beside those of a processor.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import tomllib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from headstart.bank import Weights
from headstart.conv import Conv4
from headstart.episode import Episodes, Labelled
from headstart.learners.gradient import Maml
from headstart.net import Mlp, Net, mlp
from headstart.tasks.sine import Sine
from headstart.train.place import Place
from headstart.train.recorded import Recorded

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from machine import keep, spread

Gradient = Callable[[Weights, Episodes], list[Tensor]]


class Spatial(nn.Module):
    """The mean over places, as MAML's Omniglot net ends."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def conv4(ways: int, filters: int, strided: bool) -> nn.Module:
    """Conv-4 as anyone writes it, its names those of ours."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for block in range(1, 5):
        layers[f"conv{block}"] = nn.Conv2d(1 if block == 1 else filters, filters, 3, stride=2 if strided else 1, padding=1, bias=False)
        layers[f"norm{block}"] = nn.BatchNorm2d(filters, track_running_stats=False)
        layers[f"relu{block}"] = nn.ReLU()
        if not strided:
            layers[f"pool{block}"] = nn.MaxPool2d(2)
    layers["flat"] = Spatial() if strided else nn.Flatten()
    layers["head"] = nn.Linear(filters, ways)
    return nn.Sequential(layers)


def sine(config: dict[str, Any]) -> tuple[Net, nn.Module, Episodes]:
    widths = (1, 40, 40, 1)
    return Mlp(widths), mlp(widths), Sine(shots=config["shots"]).draw("train", 0, config["tasks"])


def omniglot(config: dict[str, Any]) -> tuple[Net, nn.Module, Episodes]:
    ways, count = config["ways"], config["tasks"]
    rng = torch.Generator().manual_seed(0)
    sides = []
    for shots in (config["shots"], config["queries"]):
        inputs = torch.rand(count, ways * shots, 1, 28, 28, generator=rng)
        sides.append(Labelled(inputs, torch.arange(ways).repeat(count, shots)))
    return Conv4(ways, strided=config["strided"]), conv4(ways, 64, config["strided"]), Episodes(*sides)


def ours(net: Net, config: dict[str, Any], recorded: bool = False) -> Gradient:
    maml = Maml(net, steps=config["steps"], rate=config["rate"], order=config["order"])
    learner = Recorded(maml) if recorded else maml

    def gradient(weights: Weights, episodes: Episodes) -> list[Tensor]:
        found, _ = learner.meta_gradient({f"net.{name}": w for name, w in weights.items()}, episodes)
        return [found[f"net.{name}"] for name in weights]

    return gradient


def functional(module: nn.Module, config: dict[str, Any]) -> Gradient:
    def loss(weights: Weights, shown: Labelled, task: int) -> Tensor:
        return Labelled(shown.inputs[task][None], shown.targets[task][None]).losses(
            functional_call(module, weights, (shown.inputs[task],))[None]
        )[0]

    def gradient(weights: Weights, episodes: Episodes) -> list[Tensor]:
        leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
        for task in range(episodes.tasks):
            fast = leaves
            for _ in range(config["steps"]):
                slopes = torch.autograd.grad(loss(fast, episodes.support, task), list(fast.values()), create_graph=config["order"] == 2)
                fast = {name: w - config["rate"] * g for (name, w), g in zip(fast.items(), slopes, strict=True)}
            (loss(fast, episodes.query, task) / episodes.tasks).backward()
        return [w.grad for w in leaves.values() if w.grad is not None]

    return gradient


def with_higher(module: nn.Module, config: dict[str, Any]) -> Gradient:
    import higher

    def gradient(weights: Weights, episodes: Episodes) -> list[Tensor]:
        module.load_state_dict(weights)
        module.zero_grad()
        rule = torch.optim.SGD(module.parameters(), lr=config["rate"])
        for task in range(episodes.tasks):
            sides = [Labelled(side.inputs[task][None], side.targets[task][None]) for side in (episodes.support, episodes.query)]
            second = config["order"] == 2
            with higher.innerloop_ctx(module, rule, copy_initial_weights=False, track_higher_grads=second) as (fast, steps):
                for _ in range(config["steps"]):
                    steps.step(sides[0].losses(fast(sides[0].inputs[0])[None])[0])
                asked = sides[1].losses(fast(sides[1].inputs[0])[None])[0] / episodes.tasks
                if second:
                    asked.backward()
                else:
                    slopes = torch.autograd.grad(asked, list(fast.parameters()))
                    for w, g in zip(module.parameters(), slopes, strict=True):
                        w.grad = g if w.grad is None else w.grad + g
        return [w.grad for w in module.parameters() if w.grad is not None]

    return gradient


def timed(gradient: Gradient, weights: Weights, episodes: Episodes, seconds: float) -> float:
    """Tasks a second, over as many batches as fill the time."""
    waits = torch.cuda.synchronize if episodes.support.inputs.is_cuda else lambda: None
    waits()
    batches, since = 0, time.perf_counter()
    while time.perf_counter() - since < seconds:
        gradient(weights, episodes)
        waits()
        batches += 1
    return batches * episodes.tasks / (time.perf_counter() - since)


def run(path: Path, device: torch.device) -> None:
    config, card = tomllib.loads(path.read_text()), device.type == "cuda"
    net, module, episodes = {"sine": sine, "omniglot": omniglot}[config["case"]](config)
    module, place = module.to(device), Place(device, torch.float32)
    weights, episodes = place.weights(net.blank(0)), episodes.to(place.device, place.dtype)
    ways: dict[str, Gradient] = {"lockstep": ours(net, config, recorded=card), "functional_call": functional(module, config)}
    if card:
        ways["lockstep, not recorded"] = ours(net, config)
    if importlib.util.find_spec("higher"):
        ways["higher"] = with_higher(module, config)
    wanted = ways["functional_call"](weights, episodes)
    for way, gradient in ways.items():
        for got, want in zip(gradient(weights, episodes), wanted, strict=True):
            torch.testing.assert_close(got, want, rtol=2e-2, atol=2e-4, msg=f"{way} computes something else")
    turns = [{way: timed(gradient, weights, episodes, config["seconds"]) for way, gradient in ways.items()} for _ in range(config["turns"])]
    told = {
        way: {
            "tasks_a_second": spread([turn[way] for turn in turns]),
            "lockstep_is_faster": spread([turn["lockstep"] / turn[way] for turn in turns]),
        }
        for way in ways
    }
    for way, row in told.items():
        print(
            f"{path.stem:24}{way:18}{row['tasks_a_second']['mean']:10.1f} tasks/s, lockstep {row['lockstep_is_faster']['mean']:.2f} x",
            flush=True,
        )
    keep(HERE / "results" / f"{path.stem}{'-card' if card else ''}.json", {"config": config, "ways": told})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    given = parser.parse_args()
    # Else a loop's convolutions may round to TF32 where ours multiply in full, and the maximum among near equals fall elsewhere.
    torch.backends.cudnn.allow_tf32 = False
    for toml in sorted(HERE.glob("*.toml")):
        run(toml, given.device)
