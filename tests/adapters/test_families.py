"""Bases that people run, made tiny: taught, put on a shelf and read back, the same in PEFT, and in llama.cpp's format or refused."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import gguf as real
import pytest
import torch

from headstart.adapters import gguf, peers
from headstart.adapters.proof import probes, prove
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of, wear
from headstart.episode import Example
from headstart.errors import AdapterRefused
from headstart.lm.load import Base, load
from headstart.lm.tiny import FAMILIES, tiny_base
from headstart.teach import Recipe, teach

EXAMPLES = [Example.pair(f"{way} {n}", f"<{way[0].upper()} {n}>") for way in ("left", "right", "climb") for n in (5, 40)]
LAYERS = tuple(range(4))
LINEARS = {"gpt_neox": 4, "phi3": 4}
"""Linears of a layer, where they are not seven."""


@pytest.fixture(scope="module", params=FAMILIES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Base:
    return load(str(tiny_base(tmp_path_factory.mktemp(request.param), request.param)), torch.float32)


@pytest.fixture(scope="module")
def shelf(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """One adapter, 'codes', on every linear of every layer."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    taught = teach(base, EXAMPLES, Recipe(steps=6, folds=0, layers=LAYERS, prefix=False))
    shelf.write("codes", taught.weights, {"base": asdict(key_of(base))}, base.layers)
    read = shelf.read("codes", key_of(base))
    assert read.keys() == taught.weights.keys()
    assert all(torch.equal(read[name], w.half().float()) for name, w in taught.weights.items())
    assert all(w.any() for w in read.values()), "a linear that was not taught proves nothing"
    return shelf


def test_peft_says_the_same_on_the_same_folder(base: Base, shelf: Shelf) -> None:
    worn = wear(base, shelf, "codes")
    with peers.peft(load(base.name, torch.float32), shelf.path("codes")) as there:
        proof = prove(worn, probes(base.chat, EXAMPLES), there)
    worn.net.remove()
    assert proof.adapter < 1e-4
    assert proof.base < 1e-4
    assert proof.moved > 0.5


def test_llama_cpp_s_file_holds_every_linear_or_is_refused(base: Base, shelf: Shelf, tmp_path: Path) -> None:
    kind, weights = base.model.config.model_type, shelf.read("codes", key_of(base))
    if kind == "gpt2":
        with pytest.raises(AdapterRefused, match=r"'gpt2' bases cannot be written as GGUF; of gemma2, .*, smollm3 they can"):
            gguf.write(tmp_path / "a.gguf", weights, base.model.config)
        return
    gguf.write(tmp_path / "a.gguf", weights, base.model.config)
    assert len(real.GGUFReader(tmp_path / "a.gguf").tensors) == len(weights) == len(LAYERS) * LINEARS.get(kind, 7) * 2
