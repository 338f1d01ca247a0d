"""Other engines, asked for the likeliest next tokens: llama-server as a process of ours, and PEFT in this one."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

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
def llama_server(program: Path, model: Path, adapters: Sequence[Path], rows: int = 1, room: int = 2048) -> Iterator[str]:
    """The address of a llama-server with every adapter loaded and none at work.

    Args:
        program: see `find_llama_server`.
        model: a GGUF.
        adapters: GGUFs; a request names one by its place among them.
        rows: requests at once.
        room: tokens of each.

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
        "--port",
        str(port),
        "-np",
        str(rows),
        "-c",
        str(rows * room),
        "-t",
        str(os.cpu_count()),
    ]
    words += ["--lora", ",".join(map(str, adapters)), "--lora-init-without-apply"]
    # Into a file: it says much, and a pipe that nobody empties would hold it up.
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(words, stdout=said, stderr=said)
        try:
            _wait(process, f"http://127.0.0.1:{port}", said)
            # A request that names no adapter is answered under all of them, unless they are set to nought.
            _post(f"http://127.0.0.1:{port}/lora-adapters", [{"id": i, "scale": 0.0} for i in range(len(adapters))])
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def likeliest(address: str) -> There:
    """What the llama-server there holds likeliest, under its first adapter or none."""

    def there(tokens: Sequence[int], on: bool) -> Likely:
        asked = {"prompt": list(tokens), "n_predict": 1, "n_probs": _TOP, "temperature": 0, "cache_prompt": False}
        said = _post(f"{address}/completion", asked | {"lora": [{"id": 0, "scale": float(on)}]})
        return {it["id"]: it["logprob"] for it in said["completion_probabilities"][0]["top_logprobs"]}

    return there


def _wait(process: subprocess.Popen[bytes], address: str, said: IO[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
            raise SettingsError(f"llama-server did not start: {lines[-1] if lines else 'it said nothing'}")
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise SettingsError("llama-server did not answer within a minute.")


def _post(address: str, body: Any) -> Any:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as said:
            return json.load(said)
    except OSError as error:
        raise SettingsError(f"llama-server did not answer {address}: {error}") from error


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
