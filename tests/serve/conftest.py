"""A shelf of adapters that each say something else, on the tiny base."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import openai
import pytest
import torch
import uvicorn

from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.bank import Weights
from headstart.episode import Example
from headstart.lm.graft import Grafted
from headstart.lm.load import Base, load
from headstart.lm.twin import twin
from headstart.serve.api import Api
from headstart.serve.besides import besides
from headstart.serve.engine import Running
from headstart.serve.ledger import Ledger
from headstart.serve.limits import Limits
from headstart.serve.llama import LlamaServer
from headstart.serve.relay import Relay
from headstart.serve.spare import Spare
from headstart.serve.teacher import Teacher

Relays = Callable[..., Relay]
BEFORE = (Example.pair("red please", "RED"), Example.pair("tan please", "TAN"))


@pytest.fixture(scope="module")
def own(base_folder: Path) -> Base:
    """A base that nobody else grafts."""
    return load(str(base_folder), torch.float32)


def loud(base: Base, seed: int, layers: list[int] | None = None, rank: int = 4) -> Weights:
    """An adapter that changes every answer."""
    net = Grafted(base.model, "all-linear", layers, rank)
    weights = net.blank(seed)
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


@pytest.fixture
def program(tmp_path: Path) -> Path:
    place = tmp_path / "program"
    place.mkdir()
    script = place / "llama-server"
    script.write_text(f"#!{sys.executable}\n" + (Path(__file__).parent / "llama_stand_in.py").read_text())
    script.chmod(0o755)
    return script


@pytest.fixture
def relay(own: Base, shelf: Shelf, program: Path) -> Iterator[Relays]:
    made: list[Relay] = []

    def make(**settings: Any) -> Relay:
        rows = settings.get("rows", 4)
        made.append(Relay(own, shelf, LlamaServer(program, Path("base.gguf"), own, rows, 512), **settings))
        return made[-1]

    yield make
    for it in made:
        it.stop(0)


BASE = "tiny"
ROWS = [
    {"messages": [{"role": "user", "content": f"{w} please"}, {"role": "assistant", "content": w.upper()}]} for w in ("red", "tan", "blue")
]
FILE = "\n".join(map(json.dumps, ROWS)).encode()
QUICK: dict[str, Any] = {"model": BASE, "hyperparameters": {"n_epochs": 2}}
Place = Callable[..., openai.OpenAI]


@pytest.fixture
def place(own: Base, shelf: Shelf, running: Callable[..., Running], tmp_path: Path, home: Path) -> Iterator[Place]:
    """Serves and teaches, and gives a client; called again it is the next server, after the one before was stopped."""
    stops: list[Callable[[], None]] = []

    def serve(key: str | None = None, **limits: Any) -> openai.OpenAI:
        for stop in stops:
            stop()
        stops.clear()
        pupil, spare, ledger = twin(own), Spare(own), Ledger(tmp_path / "jobs.sqlite3")
        engine = running()
        teacher = Teacher(ledger, shelf, pupil, engine)
        api = Api(engine, BASE, Limits(**limits), drain=1, stopping=lambda: server.should_exit)
        app = api.app(key, ["127.0.0.1"], besides(api, spare, shelf, ledger, teacher))
        server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, log_level="error", timeout_graceful_shutdown=2))
        there = server.config.bind_socket()
        thread = threading.Thread(target=server.run, args=([there],), daemon=True)
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join()
            teacher.stop()
            ledger.close()

        stops.append(stop)
        while not server.started:
            time.sleep(0.01)
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{there.getsockname()[1]}/v1", api_key=key or "none", max_retries=0, timeout=60)
        stops.append(client.close)
        return client

    yield serve
    for stop in stops:
        stop()


def ended(it: openai.OpenAI, job: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while (now := it.fine_tuning.jobs.retrieve(job)).status in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return now


def uploaded(it: openai.OpenAI, content: bytes = FILE, name: str = "rows.jsonl") -> str:
    return it.files.create(file=(name, content), purpose="fine-tune").id
