"""A shelf of adapters that each say something else, on the tiny base."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.bank import Weights
from headstart.episode import Example
from headstart.lm.graft import Grafted
from headstart.lm.load import Base, load
from headstart.serve.engine import Running

BEFORE = (Example.pair("red please", "RED"), Example.pair("tan please", "TAN"))


@pytest.fixture(scope="module")
def own(base_folder: Path) -> Base:
    """A base that nobody else grafts."""
    return load(str(base_folder), torch.float32)


def loud(base: Base, seed: int, layers: list[int] | None = None, rank: int = 4) -> Weights:
    """An adapter that changes every answer."""
    net = Grafted(base.model, "all-linear", layers)
    weights = net.blank(seed, rank)
    net.remove()
    chance = torch.Generator().manual_seed(seed)
    return {name: 0.3 * torch.randn(w.shape, generator=chance) if name.endswith("lora_B") else w for name, w in weights.items()}


@pytest.fixture
def shelf(own: Base, tmp_path: Path) -> Shelf:
    """a and b without, c with kept examples; d of a higher rank and on the upper layer alone."""
    shelf, record = Shelf(tmp_path / "shelf"), {"base": asdict(key_of(own))}
    for seed, name in enumerate("abc"):
        shelf.write(name, loud(own, seed), record, 2, BEFORE if name == "c" else ())
    shelf.write("d", loud(own, 9, [1], 6), record, 2)
    return shelf


@pytest.fixture
def running(own: Base, shelf: Shelf) -> Iterator[Callable[..., Running]]:
    """Makes engines, and stops them."""
    made: list[Running] = []

    def make(**settings: int | float) -> Running:
        made.append(Running(own, shelf, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for engine in made:
        engine.stop(0)
