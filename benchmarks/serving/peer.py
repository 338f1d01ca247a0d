"""llama-server under the same load: one base, an adapter for each request by its own `lora` field."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
