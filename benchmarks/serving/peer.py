"""llama-server under the same load: one base, an adapter for each request by its own `lora` field."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from headstart.adapters import gguf
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.lm.load import Base


def adapters(base: Base, shelf: Shelf, names: Sequence[str], folder: Path) -> list[Path]:
    """The shelf's adapters as llama.cpp reads them."""
    folder.mkdir(exist_ok=True)
    for name in names:
        gguf.write(folder / f"{name}.gguf", shelf.read(name, key_of(base)), base.model.config)
    return [folder / f"{name}.gguf" for name in names]


def in_16_bits(server: Path, model: Path, out: Path) -> Path:
    """The same base in f16, as far as the packed one goes."""
    subprocess.run([server.with_name("llama-quantize"), "--allow-requantize", model, out, "F16"], check=True, capture_output=True)
    return out


@contextmanager
def running(server: Path, model: Path, loras: Sequence[Path], rows: int, room: int) -> Iterator[httpx.Client]:
    """llama-server with every adapter loaded and none at work, ready to be asked."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [server, "-m", model, "--port", str(port), "-np", str(rows), "-c", str(rows * room), "-t", str(os.cpu_count()), "--no-webui"]
    words += ["--lora", ",".join(map(str, loras)), "--lora-init-without-apply"] if loras else []
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300, limits=httpx.Limits(max_connections=64)) as http:
            deadline = time.monotonic() + 60
            while True:
                try:
                    if http.get("/health").status_code == 200:
                        break
                except httpx.TransportError:
                    assert time.monotonic() < deadline, "llama-server did not start"
                time.sleep(0.1)
            if loras:
                http.post("/lora-adapters", json=[{"id": i, "scale": 0.0} for i in range(len(loras))])
            yield http
    finally:
        process.terminate()
        process.wait()


def served(http: httpx.Client, which: Sequence[int | None], prompts: Sequence[str], new: int) -> float:
    """The whole load at once; tokens a second, prompts' not counted."""

    def ask(adapter: int | None, prompt: str) -> int:
        body: dict[str, Any] = {"prompt": prompt, "n_predict": new, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
        if adapter is not None:
            body["lora"] = [{"id": adapter, "scale": 1.0}]
        said = http.post("/completion", content=json.dumps(body))
        said.raise_for_status()
        return int(said.json()["tokens_predicted"])

    with ThreadPoolExecutor(len(prompts)) as pool:
        since = time.perf_counter()
        made = sum(pool.map(ask, which, prompts))
        return made / (time.perf_counter() - since)
