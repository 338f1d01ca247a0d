"""Before anything is spent: rows looked at one by one, what teaching them will take, and where the base would fit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, final

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from headstart.adapters.beginnings import foreseen
from headstart.adapters.wear import key_of
from headstart.episode import Example, as_chat
from headstart.errors import BaseRefused, ExamplesError, NameRefused
from headstart.lm.load import Base
from headstart.plan.cards import Place
from headstart.plan.clock import Speed, speed
from headstart.plan.facts import facts, where
from headstart.plan.memory import freed_bytes, place_of
from headstart.plan.verdict import as_by_default
from headstart.serve.apart import apart
from headstart.serve.limits import Limits, Refused, bounded, json_of
from headstart.serve.placeless import placeless, public_name
from headstart.serve.shelf_request import ForecastRequest, PlanRequest
from headstart.serve.spare import Spare
from headstart.serve.wire import read
from headstart.tasks.shapes import BadRow, example
from headstart.tasks.texts import looked, reader_of, sniffed
from headstart.teach import Recipe
from headstart.teach.forecast import cost
from headstart.teach.pace import measure
from headstart.teach.report import shown_once
from headstart.teach.room import model_of

LEAST = 2
"""Examples that teaching needs."""
_NONE = "no row is found: JSON, a header that names the columns (prompt, completion) or two columns separated by a tab are wanted"


@final
@dataclass(frozen=True)
class Pace:
    """How fast this machine is with the served base, measured when it is first asked for; that takes two seconds.

    What is measured beside answers or a job holds until the machine is quiet, and is measured again then.
    """

    quiet: Callable[[], bool] = lambda: True
    """Whether nobody else computes."""
    _known: dict[bool, Speed] = field(default_factory=dict)
    """By whether nobody else computed."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, base: Base) -> Speed:
        """Of a bare base that nobody else computes with."""
        with self._lock:
            alone = self.quiet()
            if True not in self._known and (alone or not self._known):
                found = apart(lambda: measure(base))
                self._known[alone and self.quiet()] = found
            return self._known.get(True) or self._known[False]


@final
@dataclass(frozen=True)
class Forecasting:
    """The planner behind HTTP."""

    spare: Spare
    limits: Limits
    pace: Pace = field(default_factory=Pace)

    def routes(self) -> list[Route]:
        """For `Api.app`."""
        return [
            Route("/v1/fine_tuning/forecast", self.forecast, methods=["POST"]),
            Route("/v1/plan", self.plan, methods=["POST"]),
        ]

    async def forecast(self, request: Request) -> Response:
        """Every row with what is wrong with it, and what a job on the good ones would take."""
        body = read(ForecastRequest, await json_of(request, self.limits))
        return JSONResponse(await run_sync(self._forecast, body, limiter=self.spare.users))

    async def plan(self, request: Request) -> Response:
        """What `headstart plan` tells, of the served base and of the linears that teaching bends here."""
        body = read(PlanRequest, await json_of(request, self.limits))
        return JSONResponse(await run_sync(self._plan, body, limiter=self.spare.users))

    def _forecast(self, body: ForecastRequest) -> dict[str, Any]:
        ends = Path(body.filename).suffix if body.filename else ""
        ends = ends or sniffed(body.text)
        with self.spare.held() as base:
            found = bounded(reader_of(Path(f"rows{ends}"))(body.text), self.limits, "text")
            rows = [(line, _fitting(base, row)) for line, row in looked(found, example)] or (
                [(1, BadRow(_NONE))] if body.text.strip() else []
            )
            good = [row for _, row in rows if isinstance(row, Example)]
            told = {
                "object": "fine_tuning.forecast",
                "format": ends.removeprefix("."),
                "rows": [_row(line, row) for line, row in rows],
                "good": len(good),
                "shown_once": shown_once(good),
            }
            return told | self._cost(base, good, body)

    def _cost(self, base: Base, good: Sequence[Example], body: ForecastRequest) -> dict[str, Any]:
        """Where the planner does not know the base, why nothing is foretold: teaching it works all the same."""
        ways = self._ways(base, body.start, Recipe(prefix=body.prefix), len(good))
        told: dict[str, Any] = {"starts": sorted(ways), "cost": None, "unplanned": None}
        try:
            if len(good) >= LEAST:
                told["cost"] = asdict(cost(base, good, list(ways.values()), self.pace.of(base), place_of(base.model.device), body.scratch))
        except BaseRefused as refused:
            told["unplanned"] = placeless(str(refused).replace(base.name, public_name(base.name)))
        return told

    def _ways(self, base: Base, start: str, recipe: Recipe, examples: int) -> dict[str, Recipe]:
        try:
            return {it.name: it.recipe for it in foreseen(key_of(base), start, recipe, lambda _: None, examples)}
        except NameRefused as error:
            raise Refused(400, placeless(str(error)), "start") from None

    def _plan(self, body: PlanRequest) -> dict[str, Any]:
        with self.spare.held() as base:
            model, named = model_of(base), bool(body.card or body.memory)
            place = where(body.card or None, body.memory or None) if named else _with_this(base)
            clocked = speed(place) if named else self.pace.of(base)
            setting = as_by_default(model.shape, body.setting(base.precision, model.shape.context))
            return facts(replace(model, name=public_name(base.name)), place, body.purpose, setting, clocked)


def _with_this(base: Base) -> Place:
    """Where the base computes as it would be without this server: what is free, and what this process holds."""
    place = place_of(base.model.device)
    # Its precision is what it is, whatever the processor would rather have.
    return replace(place, memory=place.memory + freed_bytes(base.model.device), native=True)


def _fitting(base: Base, row: Example | BadRow) -> Example | BadRow:
    """A row that the base can read as a whole, or why it is none."""
    if isinstance(row, Example):
        try:
            base.chat.example(row)
        except ExamplesError as error:
            return BadRow(str(error))
    return row


def _row(line: int, row: Example | BadRow) -> dict[str, Any]:
    if isinstance(row, BadRow):
        return {"line": line, "problem": str(row)}
    messages = as_chat(row.messages)
    return {"line": line, "prompt": row.prompt, "completion": row.completion, "turns": len(messages), "messages": messages, "problem": None}
