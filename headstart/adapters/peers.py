"""Other engines, asked for the likeliest next tokens: llama-server as a process of ours, and PEFT in this one."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

import torch

from headstart import config
from headstart.adapters.proof import Likely, There
from headstart.adapters.remote import Remote
from headstart.errors import EngineGone, SettingsError
from headstart.lm.load import Base

ENGINE_KEY = "HEADSTART_ENGINE_KEY"
"""In the environment: the key of an engine at an address."""
_TOP, _FEW = 40, 20
"""Tokens that are compared at every place; vLLM tells twenty at most."""
_SAYS = 600.0
"""Seconds for llama-server to say anything of a prompt."""
_LEAVES = 10.0
"""Seconds for it to end when it is told to."""


def find_llama_server() -> Path:
    """The program.

    Raises:
        SettingsError: there is none.
    """
    found = config.llama_server()
    if found is None:
        raise SettingsError("llama-server is not on the path: install llama.cpp, or say where it lies in LLAMA_SERVER.")
    return found


@contextmanager
def llama_server(
    program: Path, model: Path, adapters: Sequence[Path], rows: int = 1, room: int = 2048, apart: bool = False
) -> Iterator[Remote]:
    """A llama-server with every adapter loaded and none at work; it answers to nobody else.

    Args:
        program: see `find_llama_server`.
        model: a GGUF.
        adapters: GGUFs; a request names one by its place among them.
        rows: requests at once.
        room: tokens of each.
        apart: in a session of its own, as Ctrl-C in a terminal goes to all that is in front there, and this one is to finish its work. Who
            asks for it ends it whatever happens.

    Raises:
        EngineGone: it does not start; the last thing that it said.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words: list[object] = [program, "-m", model, "--port", port, "-np", rows, "-c", rows * room, "-t", os.cpu_count()]
    words += ["--lora", ",".join(map(str, adapters)), "--lora-init-without-apply"] if adapters else []
    # Without a key it answers whoever finds its port, a page in a browser too; among the words everyone on the machine could read it.
    key = secrets.token_hex()
    environment = os.environ | {"LLAMA_API_KEY": key}
    # Into a file: it says much, and a pipe that nobody empties would hold it up.
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([*map(str, words)], stdout=said, stderr=said, start_new_session=apart, env=environment)
        try:
            remote = Remote(f"http://127.0.0.1:{port}", key, _SAYS)
            _wait(process, remote, said)
            # A request that names no adapter is answered under all of them, unless they are set to nought.
            remote.post("/lora-adapters", [{"id": i, "scale": 0.0} for i in range(len(adapters))])
            yield remote
        finally:
            process.terminate()
            try:
                process.wait(_LEAVES)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def likeliest(remote: Remote, adapter: int = 0) -> There:
    """What a llama-server holds likeliest, under one of its adapters or none."""

    def there(tokens: Sequence[int], on: bool) -> Likely:
        asked = {"prompt": list(tokens), "n_predict": 1, "n_probs": _TOP, "temperature": 0, "cache_prompt": False}
        said = remote.post("/completion", asked | {"lora": [{"id": adapter, "scale": float(on)}]})
        # Where the next token is half a character, nothing is told of it.
        told = said.get("completion_probabilities") or [{"top_logprobs": []}]
        return {it["id"]: it["logprob"] for it in told[0]["top_logprobs"]}

    return there


def at(remote: Remote, name: str) -> There:
    """The engine at an address, a llama-server or a vLLM, under the adapter that has this name there.

    Raises:
        EngineGone: nobody answers.
        SettingsError: it has no such adapter, or is headstart itself.
    """
    try:
        loaded = remote.get("/lora-adapters")
    except EngineGone:
        return _vllm(remote, name)
    named = [it["id"] for it in loaded if name in (Path(it["path"]).stem, Path(it["path"]).parent.name)]
    places = named or [it["id"] for it in loaded if len(loaded) == 1]
    if len(places) != 1:
        files = ", ".join(it["path"] for it in loaded) or "none"
        raise SettingsError(f"The llama-server at {remote.address} has no file or folder '{name}' among its adapters: {files}.")
    return likeliest(remote, places[0])


def _vllm(remote: Remote, name: str) -> There:
    served = remote.get("/v1/models")["data"]
    if any(it.get("owned_by") == "headstart" for it in served):
        raise SettingsError(f"At {remote.address} it is headstart itself that answers: the address of a llama-server or a vLLM is wanted.")
    models = {it["id"]: it.get("parent") for it in served}
    under = next((it for it, parent in models.items() if parent and it.rpartition("--")[0] == name), name)
    if not models.get(under):
        raise SettingsError(f"The engine at {remote.address} has no adapter '{name}': it serves {', '.join(models)}.")

    def there(tokens: Sequence[int], on: bool) -> Likely:
        asked = {"model": under if on else models[under], "prompt": list(tokens), "max_tokens": 1, "temperature": 0, "logprobs": _FEW}
        said = remote.post("/v1/completions", asked | {"return_tokens_as_token_ids": True})
        top = said["choices"][0]["logprobs"]["top_logprobs"][0]
        return {int(token.removeprefix("token_id:")): logprob for token, logprob in top.items()}

    return there


def _wait(process: subprocess.Popen[bytes], remote: Remote, said: IO[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
            raise EngineGone(f"llama-server did not start: {lines[-1] if lines else 'it said nothing'}")
        try:
            remote.get("/health")
            return
        except EngineGone:
            time.sleep(0.1)
    raise EngineGone("llama-server did not answer within a minute.")


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
