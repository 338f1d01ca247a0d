"""How fast does it serve? Requests over many adapters at once, by our engine, by PEFT and by llama-server, in turns.

python benchmarks/serving/run.py [CONFIG], or headstart bench serving; llama-server is asked too where LLAMA_SERVER in the environment says
where it lies. The adapters are random; speed does not read them.
"""

from __future__ import annotations

import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import httpx
from peft import PeftModel

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import peer
from machine import keep, spread
from ways import fill_shelf, note, ours, text, theirs, up

from headstart import config as places
from headstart.adapters.peers import llama_server
from headstart.adapters.store import Shelf
from headstart.lm.gguf import embedded_file
from headstart.lm.load import hush, load
from headstart.serve.apart import apart


def measured(config: dict[str, Any], folder: Path, server: Path | None) -> dict[str, list[float]]:
    """Every way in a thread that ends with it, and with nothing else that computes: idle workers of another way would slow it."""
    base, peft_base = apart(lambda: load(None)), apart(lambda: load(None))
    shelf = Shelf(folder)
    every = apart(lambda: fill_shelf(base, shelf, config["adapters"]))
    names: list[str | None] = [every[i % len(every)] for i in range(config["requests"])]
    # An end of text would make a load shorter for some.
    base.chat.__class__.stops = property(lambda _: (-1,))  # type: ignore[assignment]
    model = PeftModel.from_pretrained(peft_base.model, str(shelf.path(every[0])), adapter_name=every[0])
    for name in every[1:]:
        model.load_adapter(str(shelf.path(name)), adapter_name=name)
    models = peers(server, folder) if server else {}
    loras = peer.adapters(base, shelf, every, folder / "gguf") if server else []
    done: dict[str, list[float]] = {}
    for turn in range(config["turns"]):
        prompts = [text(base, config["prompt"], 100 * turn + i) for i in range(config["requests"])]
        loads = {
            "headstart, mixed": (names, prompts),
            "headstart, one adapter": ([every[0]] * len(names), prompts),
            "headstart, the base alone": ([None] * len(names), prompts),
            "headstart, one request": (names[:1], prompts[:1]),
        }
        for fast in (True, False):
            for way, (its, asked) in loads.items():
                with up(base, shelf, fast=fast) as engine:
                    serve = ours(base, engine, list(its), asked, config)
                    serve()
                    note(done, way if fast else f"{way}, --no-fast", serve())
        for one_by_one, way in ((False, "PEFT, adapter_names"), (True, "PEFT, set_adapter one by one")):
            serve = theirs(model, peft_base, [str(name) for name in names], prompts, config, one_by_one)
            note(done, way, apart(lambda serve=serve: (serve(), serve())[1]))  # type: ignore[misc]
        for kind, model_file in models.items():
            assert server is not None
            room = config["prompt"] + config["new"] + 8
            with (
                llama_server(server, model_file, loras, len(names), room) as there,
                httpx.Client(base_url=there.address, headers=there.headers, timeout=300) as http,
            ):
                which = [every.index(str(name)) for name in names]
                peer.served(http, which[:1], prompts[:1], config["new"])
                note(done, f"llama-server, {kind}, mixed", peer.served(http, which, prompts, config["new"]))
                note(done, f"llama-server, {kind}, one adapter", peer.served(http, [0] * len(names), prompts, config["new"]))
                note(done, f"llama-server, {kind}, one request", peer.served(http, which[:1], prompts[:1], config["new"]))
    return done


def peers(server: Path, folder: Path) -> dict[str, Path]:
    """The embedded base as llama-server may hold it."""
    packed = embedded_file()
    assert packed is not None
    return {"Q4_1": packed, "f16": peer.in_16_bits(server, packed, folder / "f16.gguf")}


def run(path: Path) -> None:
    hush()
    config = tomllib.loads(path.read_text())
    with tempfile.TemporaryDirectory() as folder:
        done = measured(config, Path(folder), places.llama_server())
    ours_mixed = done["headstart, mixed"]
    ways = {
        name: {
            "tokens_a_second": spread(speeds),
            "ours_is_faster": spread([a / b for a, b in zip(ours_mixed, speeds, strict=True)]),
        }
        for name, speeds in done.items()
    }
    keep(HERE / "results" / f"{path.stem}.json", {"config": config, "ways": ways})


if __name__ == "__main__":
    for name in sys.argv[1:] or ["default"]:
        run(HERE / f"{name}.toml")
