"""Other engines, asked for the likeliest next tokens: llama-server as a process of ours, and PEFT in this one."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from headstart.adapters.proof import Likely, There
from headstart.errors import SettingsError
from headstart.lm.load import Base

LLAMA_SERVER = "LLAMA_SERVER"
"""In the environment: where llama-server lies, if it is not on the path."""
_TOP = 40


def find_llama_server() -> Path:
    """The program.

    Raises:
        SettingsError: there is none.
    """
    found = os.environ.get(LLAMA_SERVER) or shutil.which("llama-server")
    if not found or not Path(found).is_file():
        raise SettingsError(f"llama-server is not on the path: install llama.cpp, or say where it lies in {LLAMA_SERVER}.")
    return Path(found)


@contextmanager
def llama_server(program: Path, model: Path, adapter: Path) -> Iterator[There]:
    """llama-server with one base and one adapter, which every request names or leaves out.

    Raises:
        SettingsError: it does not start; the last thing that it said.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words: list[str | Path] = [
        program,
        "-m",
        model,
        "--lora",
        adapter,
        "--lora-init-without-apply",
        "--port",
        str(port),
        "-c",
        "2048",
        "-np",
        "1",
    ]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(process, address)
        # A request that names no adapter is answered under all of them, unless they are set to nought.
        _post(f"{address}/lora-adapters", [{"id": 0, "scale": 0.0}])

        def there(tokens: Sequence[int], on: bool) -> Likely:
            asked = {"prompt": list(tokens), "n_predict": 1, "n_probs": _TOP, "temperature": 0, "cache_prompt": False}
            said = _post(f"{address}/completion", asked | {"lora": [{"id": 0, "scale": float(on)}]})
            return {it["id"]: it["logprob"] for it in said["completion_probabilities"][0]["top_logprobs"]}

        yield there
    finally:
        process.terminate()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def _wait(process: subprocess.Popen[str], address: str) -> None:
    for _ in range(600):
        if process.poll() is not None:
            said = process.stderr.read().strip().splitlines() if process.stderr is not None else []
            raise SettingsError(f"llama-server did not start: {said[-1] if said else 'it said nothing'}")
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SettingsError("llama-server did not answer within a minute.")


def _post(address: str, body: Any) -> Any:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as said:
        return json.load(said)


@contextmanager
def peft(base: Base, folder: Path) -> Iterator[There]:
    """PEFT over a base of its own.

    Raises:
        SettingsError: it is not installed.
    """
    try:
        from peft import PeftModel
    except ImportError as error:
        raise SettingsError("PEFT is not installed: pip install 'headstart[peft]'.") from error
    with warnings.catch_warnings():
        # It reads a name that transformers is about to drop.
        warnings.simplefilter("ignore", FutureWarning)
        model = PeftModel.from_pretrained(base.model, str(folder)).eval()

    def there(tokens: Sequence[int], on: bool) -> Likely:
        ids = torch.tensor([list(tokens)], device=model.device)
        with torch.inference_mode(), nullcontext() if on else model.disable_adapter():
            top = torch.log_softmax(model(ids).logits[0, -1].float(), -1).topk(min(_TOP, model.config.vocab_size))
        return dict(zip(top.indices.tolist(), top.values.tolist(), strict=True))

    yield there
