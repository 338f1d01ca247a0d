"""A server that speaks vLLM's documented wire, with transformers and PEFT for its arithmetic: greedy, one request at a time."""

from __future__ import annotations

import json
import re
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import torch
import uvicorn
from peft import LoraConfig, PeftModel, get_peft_model
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from headstart.lm.load import Base, load


class StandIn:
    """Serves the same base as another, loaded once more."""

    def __init__(self, base: Base, key: str | None = None) -> None:
        self.base, self.key = load(base.name, torch.float32), key
        self.adapters: dict[str, str] = {}
        """Name -> folder."""
        self._model: Any = None
        self._lock = threading.Lock()
        routes = [
            Route("/v1/models", self.models),
            Route("/v1/load_lora_adapter", self.load, methods=["POST"]),
            Route("/v1/unload_lora_adapter", self.unload, methods=["POST"]),
            Route("/v1/completions", self.complete, methods=["POST"]),
        ]
        self._server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), "127.0.0.1", 0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> StandIn:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.address = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *why: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    def refused(self, request: Request) -> Response | None:
        right = self.key is None or request.headers.get("authorization") == f"Bearer {self.key}"
        return None if right else JSONResponse({"error": "Unauthorized"}, 401)

    async def models(self, request: Request) -> Response:
        ids = [(self.base.name, None), *((name, self.base.name) for name in self.adapters)]
        data = [{"id": name, "object": "model", "parent": parent, "root": self.adapters.get(name, name)} for name, parent in ids]
        return self.refused(request) or JSONResponse({"object": "list", "data": data})

    async def load(self, request: Request) -> Response:
        body = await request.json()
        name, folder = body["lora_name"], body["lora_path"]
        if name in self.adapters:
            return _error(400, f"The lora adapter '{name}' has already been loaded.")
        with warnings.catch_warnings(), self._lock:
            warnings.simplefilter("ignore")
            if self._model is None:
                self._model = get_peft_model(self.base.model, LoraConfig(target_modules=["q_proj"]), adapter_name="nothing")
            key = self._key(folder)
            if key not in self._model.peft_config:
                self._model.load_adapter(folder, adapter_name=key)
        self.adapters[name] = folder
        return PlainTextResponse(f"Success: LoRA adapter '{name}' added successfully.")

    async def unload(self, request: Request) -> Response:
        name = (await request.json())["lora_name"]
        if self.adapters.pop(name, None) is None:
            return _error(404, f"The lora adapter '{name}' cannot be found.")
        return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")

    async def complete(self, request: Request) -> Response:
        body = await request.json()
        if body["model"] not in {self.base.name, *self.adapters}:
            return _error(404, f"The model `{body['model']}` does not exist.")
        if body.get("stream"):
            return StreamingResponse(map(_event, self.chunks(body)), media_type="text/event-stream")
        whole = list(self.chunks(body))[1]
        return JSONResponse(whole)

    def chunks(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        told, end = [], "length"
        with self._lock, torch.inference_mode():
            tokens = list(body["prompt"])
            for _ in range(body["max_tokens"]):
                logprobs = torch.log_softmax(self._logits(body["model"], tokens), -1)
                tokens.append(int(logprobs.argmax()))
                if tokens[-1] in body.get("stop_token_ids", ()):
                    end = "stop"
                    break
                told.append((tokens[-1], logprobs))
        # Half a character is nobody's text: all at once is the plainest way to send whole ones.
        text = self.base.chat.tokenizer.decode([token for token, _ in told])
        yield {"choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": None}]}
        yield {"choices": [{"index": 0, "text": "", "logprobs": self._likely(body, told), "finish_reason": end}]}
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": len(told), "prompt_tokens_details": None}
        yield {"choices": [], "usage": usage}

    def _logits(self, name: str, tokens: list[int]) -> torch.Tensor:
        model = self._model or self.base.model
        if self._model is None:
            return model(torch.tensor([tokens])).logits[0, -1]
        if name == self.base.name:
            with model.disable_adapter():
                return model(torch.tensor([tokens])).logits[0, -1]
        model.set_adapter(self._key(self.adapters[name]))
        assert isinstance(model, PeftModel)
        return model(torch.tensor([tokens])).logits[0, -1]

    def _likely(self, body: dict[str, Any], told: list[tuple[int, torch.Tensor]]) -> dict[str, Any] | None:
        if not (wanted := body.get("logprobs")):
            return None
        as_ids = body.get("return_tokens_as_token_ids")

        def named(token: int) -> str:
            return f"token_id:{token}" if as_ids else self.base.chat.tokenizer.decode([token])

        tops = [logprobs.topk(wanted) for _, logprobs in told]
        return {
            "tokens": [named(token) for token, _ in told],
            "token_logprobs": [float(logprobs[token]) for token, logprobs in told],
            "top_logprobs": [{named(i): p for i, p in zip(top.indices.tolist(), top.values.tolist(), strict=True)} for top in tops],
        }

    @staticmethod
    def _key(folder: str) -> str:
        """PEFT takes a name for the path of modules."""
        return re.sub(r"\W", "_", folder)


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error", "param": None, "code": status}}, status)


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"
