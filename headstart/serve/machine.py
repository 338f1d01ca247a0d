"""This machine over HTTP: what memory holds, and what `headstart doctor` finds."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any, final

import torch
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from headstart.checkup import findings
from headstart.plan.cards import cards
from headstart.plan.memory import held_bytes, place_of
from headstart.serve.placeless import placeless
from headstart.serve.request import Engine

FRESH = 15.0
"""Seconds for which what the doctor found is told again."""


@final
@dataclass(frozen=True)
class Machine:
    """One engine's machine."""

    engine: Engine
    base: str
    """What the base is called to the outside."""
    device: torch.device
    """Where it computes."""
    _found: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def routes(self) -> list[Route]:
        """For `Api.app`."""
        return [Route("/v1/machine", self.machine)]

    async def machine(self, request: Request) -> Response:
        """Memory piece by piece, and what is wrong with its mend."""
        return JSONResponse(await run_sync(self._all))

    def _all(self) -> dict[str, Any]:
        place, figures, base = place_of(self.device), self.engine.figures(), self.engine.served()[0]
        pieces = {
            "base": base.bytes,
            "adapters": int(figures.get("adapter_bytes", 0)),
            "answers": int(figures.get("cache_bytes", 0)),
            "prompts": int(figures.get("kept_bytes", 0)),
        }
        process = held_bytes(self.device)
        rest = max(0, process - sum(pieces.values()))
        memory = {"name": place.name, "whole": place.whole or place.memory, "free": place.memory, "process": process}
        told: dict[str, Any] = {
            "object": "machine",
            "base": self.base,
            "memory": memory | {"pieces": pieces | {"rest": rest}},
            "figures": figures,
            "cards": cards(),
        }
        return told | self._doctor()

    def _doctor(self) -> dict[str, Any]:
        with self._lock:
            if time.monotonic() > self._found.get("until", 0):
                seen = findings(probed=False, asked=False, serving=True)
                found = [{key: placeless(text) for key, text in asdict(it).items()} for it in seen]
                told = {"problems": sum(it["level"] == "problem" for it in found), "findings": found}
                self._found.update(until=time.monotonic() + FRESH, told=told)
            return dict(self._found["told"])
