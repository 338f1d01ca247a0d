"""The routes: OpenAI's models and completions, vLLM's adapters, health and metrics. Async lives here and nowhere below."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, final

import anyio
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from headstart.errors import AdapterRefused, Busy, EngineGone, HeadstartError, NameRefused, StorageError
from headstart.serve.answers import Form, events, whole
from headstart.serve.limits import Limits, Refused, allowed, foreign, json_of
from headstart.serve.openapi import document
from headstart.serve.placeless import placeless
from headstart.serve.request import Engine, Served, Stream
from headstart.serve.studio import FILE, INDEX
from headstart.serve.wire import AdapterRequest, ChatRequest, CompletionRequest, read

_LOOK = 0.1
"""Seconds between looks whether the server is to stop."""
Endpoint = Callable[[Request], Awaitable[Response]]


@final
@dataclass(frozen=True)
class Api:
    """An engine behind HTTP."""

    engine: Engine
    base: str
    """What the base is called to the outside."""
    limits: Limits
    drain: float = 30.0
    """Seconds for what is at work when the server is told to stop."""
    stopping: Callable[[], bool] = lambda: False
    """Whether it was."""

    def app(self, key: str | None = None, hosts: Sequence[str] = ("*",), more: Sequence[BaseRoute] = ()) -> Starlette:
        """The application.

        Args:
            key: every request but for `OPEN` has to carry it; None: no key.
            hosts: names by which the server may be called, so that no web page elsewhere can reach it by a name of its own.
            more: further routes.
        """
        routes = [
            Route("/health", self.health),
            Route("/metrics", self.metrics),
            Route("/openapi.json", self.described, include_in_schema=False),
            Route("/v1/models", self.models),
            Route("/v1/models/{id:path}", self.model),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/completions", self.complete, methods=["POST"]),
            Route("/v1/load_lora_adapter", self.load, methods=["POST"]),
            Route("/v1/unload_lora_adapter", self.unload, methods=["POST"]),
            *more,
        ]
        return Starlette(
            routes=[_guarded(route, key) for route in routes],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)],
            exception_handlers={
                Refused: _refused,
                HeadstartError: _told,
                HTTPException: _http,
                Exception: _failed,
            },
            lifespan=self._life,
        )

    async def health(self, request: Request) -> Response:
        """Alive."""
        if not self.engine.alive():
            raise Refused(503, "The engine is no more, and nothing is answered: the server has to be begun anew.")
        return JSONResponse({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        """The engine's figures, as Prometheus reads them."""
        lines = []
        for name, value in (await run_sync(self.engine.figures)).items():
            kind, full = ("counter", f"headstart_{name}_total") if name in self.engine.counted else ("gauge", f"headstart_{name}")
            lines += [f"# TYPE {full} {kind}", f"{full} {value}"]
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    async def described(self, request: Request) -> Response:
        """What may be asked, as OpenAPI."""
        return JSONResponse(document(request.app.routes))

    async def models(self, request: Request) -> Response:
        """The base and every sound adapter."""
        return JSONResponse({"object": "list", "data": [self._model(it) for it in await run_sync(self.engine.served)]})

    async def model(self, request: Request) -> Response:
        """One of them."""
        name = request.path_params["id"]
        for it in await run_sync(self.engine.served):
            if name == (self.base if it.parent is None else it.name):
                return JSONResponse(self._model(it))
        raise Refused(404, f"There is no model '{name}' here.", "model", "model_not_found")

    async def chat(self, request: Request) -> Response:
        """OpenAI's chat completions."""
        body = read(ChatRequest, await json_of(request, self.limits))
        form = Form(True, body.model, top=(body.top_logprobs or 0) if body.logprobs else None, each=body.n or 1)
        return await self._answer(request, body, form)

    async def complete(self, request: Request) -> Response:
        """OpenAI's completions of text as it is."""
        body = read(CompletionRequest, await json_of(request, self.limits))
        return await self._answer(request, body, Form(False, body.model, top=body.logprobs, each=body.n or 1))

    async def load(self, request: Request) -> Response:
        """vLLM's way to bring an adapter in, or the content that it has now."""
        body = read(AdapterRequest, await json_of(request, self.limits))
        if body.lora_path is not None and body.lora_path != body.lora_name:
            raise Refused(400, "lora_path is given; adapters are loaded from the server's shelf by their name alone.", "lora_path")
        await run_sync(self.engine.load, body.lora_name)
        return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' added successfully.")

    async def unload(self, request: Request) -> Response:
        """vLLM's way to let one go; it stays on the shelf."""
        body = read(AdapterRequest, await json_of(request, self.limits))
        await run_sync(self.engine.unload, body.lora_name)
        return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' removed successfully.")

    async def _answer(self, request: Request, body: ChatRequest | CompletionRequest, form: Form) -> Response:
        asks = body.asks(None if body.model == self.base else body.model, self.limits)
        streams: list[Stream] = []
        try:
            for ask in asks:
                streams.append(await run_sync(self.engine.submit, ask))
        except BaseException:
            for stream in streams:
                stream.cancel()
            raise
        if body.stream:
            usage = body.stream_options is not None and body.stream_options.include_usage
            return StreamingResponse(events(form, streams, usage), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        return Response(await whole(request, form, streams), media_type="application/json")

    def _model(self, it: Served) -> dict[str, Any]:
        name, parent = (self.base, None) if it.parent is None else (it.name, self.base)
        return {"id": name, "object": "model", "created": it.created, "owned_by": "headstart", "root": self.base, "parent": parent}

    @asynccontextmanager
    async def _life(self, app: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as beside:
            beside.start_soon(self._end)
            yield
            beside.cancel_scope.cancel()
        await run_sync(self.engine.stop, self.drain)

    async def _end(self) -> None:
        """End what is still at work when its time is over, so that it is told so; the server would break the connection."""
        while not self.stopping():
            await anyio.sleep(_LOOK)
        await anyio.sleep(self.drain)
        await run_sync(self.engine.stop, 0)


OPEN = ("/health", INDEX, FILE)
"""Routes that need no key."""
ANSWERS = ("/v1/chat/completions", "/v1/completions")
"""Routes that change nothing, whatever their method."""


def _guarded(route: BaseRoute, key: str | None) -> BaseRoute:
    """A route that wants the key, and that no page of another place can have a browser change anything through."""
    if not isinstance(route, Route):
        return route
    endpoint: Endpoint = route.endpoint

    async def guarded(request: Request) -> Response:
        if request.method not in ("GET", "HEAD") and route.path not in ANSWERS and foreign(request):
            raise Refused(403, "This request comes from a web page of another place, and those may not change anything here.")
        if route.path not in OPEN and not allowed(request, key):
            raise Refused(401, "The API key is missing or wrong: send it as `Authorization: Bearer KEY`.", None, "invalid_api_key")
        return await endpoint(request)

    return Route(route.path, guarded, methods=sorted(route.methods or {"GET"}), include_in_schema=route.include_in_schema)


def error(status: int, message: str, param: str | None = None, code: str | None = None, **headers: str) -> JSONResponse:
    """An error as OpenAI's clients read it."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return JSONResponse(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


async def _refused(request: Request, why: Exception) -> Response:
    assert isinstance(why, Refused)
    return error(why.status, str(why), why.param, why.code)


async def _told(request: Request, why: Exception) -> Response:
    """What the house refuses, without the places on this machine that an adapter's own faults may name."""
    if isinstance(why, Busy):
        return error(429, str(why), code="busy", retry_after="1")
    if isinstance(why, NameRefused):
        return error(404, str(why), "model", "model_not_found")
    if isinstance(why, AdapterRefused):
        return error(409, placeless(str(why)), "model", "adapter_refused")
    return error(503 if isinstance(why, EngineGone) else 500 if isinstance(why, StorageError) else 400, placeless(str(why)))


async def _http(request: Request, why: Exception) -> Response:
    assert isinstance(why, HTTPException)
    return error(why.status_code, f"{request.method} {request.url.path}: {why.detail}.")


async def _failed(request: Request, why: Exception) -> Response:
    return error(500, "The server failed at this request; its log says more.")
