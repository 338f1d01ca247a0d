"""Teaching over OpenAI's fine-tuning surface: files in, jobs that end in seconds, adapters that answer at once."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, final

from anyio.to_thread import run_sync
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from headstart.adapters.beginnings import AUTO
from headstart.adapters.starts import Starts, refuse_start
from headstart.adapters.store import Shelf
from headstart.errors import NameRefused
from headstart.serve.job_request import JobRequest
from headstart.serve.ledger import Event, Job, Ledger, Upload, Wish
from headstart.serve.limits import Limits, Refused, body_of, bounded, json_of
from headstart.serve.teacher import TAKEN, Teacher, rows_of
from headstart.serve.told import NAME as EVENT
from headstart.serve.told import number_of, told
from headstart.serve.wire import read
from headstart.tasks.texts import parsed
from headstart.teach import NONE

FINE_TUNE = "fine-tune"
T = TypeVar("T", Upload, Job, Event)


@final
@dataclass(frozen=True)
class Teaching:
    """A teacher and its ledger behind HTTP."""

    ledger: Ledger
    teacher: Teacher
    shelf: Shelf
    base: str
    """What the base is called to the outside."""
    limits: Limits
    stopping: Callable[[], bool] = lambda: False
    """Whether the server goes down, and streams are to end."""
    asking: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever asks for a job."""

    def routes(self) -> list[Route]:
        """For `Api.app`."""
        jobs = "/v1/fine_tuning/jobs"
        return [
            Route("/v1/files", self.uploads),
            Route("/v1/files", self.upload, methods=["POST"]),
            Route("/v1/files/{id}", self.file),
            Route("/v1/files/{id}", self.delete, methods=["DELETE"]),
            Route("/v1/files/{id}/content", self.content),
            Route(jobs, self.jobs),
            Route(jobs, self.create, methods=["POST"]),
            Route(jobs + "/{id}", self.job),
            Route(jobs + "/{id}/cancel", self.cancel, methods=["POST"]),
            Route(jobs + "/{id}/events", self.events),
            Route(jobs + "/{id}/checkpoints", self.checkpoints),
        ]

    async def upload(self, request: Request) -> Response:
        """Take a file in; one to teach from is read at once, and refused with every bad row."""
        name, purpose, content = await _sent(request, self.limits)
        if purpose != FINE_TUNE:
            raise Refused(400, f"purpose is {purpose!r}; files are taken for '{FINE_TUNE}' alone.", "purpose")
        await run_sync(lambda: parsed(name, bounded(rows_of(name, content), self.limits, "file"), least=2))
        stored = sum(it.bytes for it in await run_sync(self.ledger.uploads))
        if stored + len(content) > self.limits.stored:
            raise Refused(413, f"The files that are kept would be larger than {self.limits.stored} bytes: delete some first.", "file")
        return JSONResponse(_file(await run_sync(self.ledger.keep, name, FINE_TUNE, content)))

    async def uploads(self, request: Request) -> Response:
        """All files."""
        purpose = request.query_params.get("purpose")
        found = [it for it in await run_sync(self.ledger.uploads) if purpose in (None, it.purpose)]
        if request.query_params.get("order") == "asc":
            found.reverse()
        return _page(request, found, _file, lambda it: it.id)

    async def file(self, request: Request) -> Response:
        """One file's facts."""
        return JSONResponse(_file(await self._upload(request.path_params["id"])))

    async def content(self, request: Request) -> Response:
        """One file."""
        it = await self._upload(request.path_params["id"])
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(await run_sync(self.ledger.content, it.id) or b"", media_type="application/octet-stream", headers=headers)

    async def delete(self, request: Request) -> Response:
        """Forget a file."""
        it = await self._upload(request.path_params["id"])
        await run_sync(self.ledger.drop, it.id)
        return JSONResponse({"id": it.id, "object": "file", "deleted": True})

    async def create(self, request: Request) -> Response:
        """Ask for an adapter."""
        body = read(JobRequest, await json_of(request, self.limits))
        if body.model != self.base:
            raise Refused(404, f"'{body.model}' cannot be taught; '{self.base}' can.", "model", "model_not_found")
        it = await self._upload(body.training_file, "training_file")
        if it.purpose != FINE_TUNE:
            raise Refused(400, f"The file '{it.id}' is for '{it.purpose}'; one for '{FINE_TUNE}' is wanted.", "training_file")
        made = await run_sync(self._ask, it.id, body.suffix, body.wish)
        self.teacher.wake()
        return JSONResponse(self._job(made))

    async def jobs(self, request: Request) -> Response:
        """All jobs, the newest first."""
        return _page(request, await run_sync(self.ledger.jobs), self._job, lambda it: it.id)

    async def job(self, request: Request) -> Response:
        """One job."""
        return JSONResponse(self._job(await self._known(request)))

    async def cancel(self, request: Request) -> Response:
        """Stop a job at its next step."""
        it = await self._known(request)
        if not await run_sync(self.teacher.cancel, it):
            raise Refused(400, f"The job '{it.id}' has ended already.")
        return JSONResponse(self._job(await self._known(request)))

    async def events(self, request: Request) -> Response:
        """What happened to a job, the newest first; the last one of a job that succeeded holds the honest report.

        With `stream=true` in order and as they come, as server-sent events; `end` is the last.
        """
        it, stream = await self._known(request), request.query_params.get("stream", "false")
        if stream not in ("true", "false"):
            raise Refused(400, f'stream is {stream[:20]!r}; "true" or "false" is wanted.', "stream")
        if stream == "false":
            return _page(request, await run_sync(self.ledger.events, it.id), _event, lambda event: f"{EVENT}{event.number}")
        last = request.headers.get("last-event-id") or request.query_params.get("after")
        number = 0 if last is None else number_of(last)
        if number is None:
            raise Refused(404, f"There is no '{last[:64] if last else last}' in this list.", "after", "not_found")
        lines = told(self.ledger, it.id, number, (_event, self._job), self.stopping)
        return StreamingResponse(lines, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    async def checkpoints(self, request: Request) -> Response:
        """None: a job of seconds keeps none."""
        await self._known(request)
        return JSONResponse({"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None})

    async def _upload(self, id: str, param: str = "id") -> Upload:
        it = await run_sync(self.ledger.upload, id)
        if it is None:
            raise Refused(404, f"There is no file '{id}'.", param, "not_found")
        return it

    async def _known(self, request: Request) -> Job:
        id = request.path_params["id"]
        it = await run_sync(self.ledger.job, id)
        if it is None:
            raise Refused(404, f"There is no job '{id}'.", "id", "not_found")
        return it

    def _ask(self, file: str, suffix: str | None, wish: Wish) -> Job:
        _check_start(wish.start)
        # Who comes between the look and the job would be given the same name.
        with self.asking:
            waiting = [job for job in self.ledger.jobs() if job.finished is None]
            if len(waiting) >= self.limits.jobs:
                raise Refused(
                    429, f"{len(waiting)} jobs are at work or waiting, and no more are taken: ask again in a while.", None, "busy"
                )
            if suffix is not None:
                self._check_name(suffix, wish.replace, {self.base, *(job.adapter for job in waiting)})
            return self.ledger.ask(file, suffix, wish)

    def _check_name(self, name: str, replace: bool, taken: set[str]) -> None:
        try:
            refuse_start(name)
            self.shelf.named(name)
        except NameRefused as error:
            raise Refused(400, str(error), "suffix") from None
        if name in taken:
            raise Refused(409, f"'{name}' is the base's name, or that of a job that has not ended: give another suffix.", "suffix")
        if not replace and self.shelf.taken(name):
            raise Refused(409, TAKEN.format(name), "suffix")

    def _job(self, it: Job) -> dict[str, Any]:
        wish = it.wish
        hyper = {"n_epochs": wish.passes or "auto", "batch_size": "auto", "learning_rate_multiplier": wish.faster}
        return {
            "id": it.id,
            "object": "fine_tuning.job",
            "created_at": it.created,
            "finished_at": it.finished,
            "model": self.base,
            "fine_tuned_model": it.adapter if it.status == "succeeded" else None,
            "user_provided_suffix": it.suffix,
            "status": it.status,
            "error": {"code": "job_failed", "message": it.error, "param": None} if it.error else None,
            "training_file": it.file,
            "validation_file": None,
            "result_files": [it.result] if it.result else [],
            "trained_tokens": it.tokens,
            "hyperparameters": hyper,
            "method": {"type": "supervised", "supervised": {"hyperparameters": hyper}},
            "seed": wish.seed,
            "metadata": wish.metadata,
            "organization_id": "",
        }


def _file(it: Upload) -> dict[str, Any]:
    facts = {"id": it.id, "object": "file", "bytes": it.bytes, "created_at": it.created, "filename": it.name}
    return facts | {"purpose": it.purpose, "status": "processed"}


def _event(it: Event) -> dict[str, Any]:
    facts = {"id": f"{EVENT}{it.number}", "object": "fine_tuning.job.event", "created_at": it.created, "level": it.level}
    return facts | {"message": it.message, "type": "metrics" if it.data else "message", "data": it.data or {}}


def _page(request: Request, found: Sequence[T], shown: Callable[[T], Mapping[str, Any]], name: Callable[[T], str]) -> Response:
    """A part of a list, as OpenAI's clients go through it: `limit` of them behind the one called `after`."""
    given, after = request.query_params.get("limit", "20"), request.query_params.get("after")
    # What is longer is no number from 1 to 10000, and may be more digits than Python turns into one.
    most = int(given) if given.isascii() and given.isdigit() and len(given) <= 5 else 0
    if not 1 <= most <= 10_000:
        raise Refused(400, f"limit is {given[:20]!r}; a number from 1 to 10000 is wanted.", "limit")
    names = [name(it) for it in found]
    if after is not None and after not in names:
        raise Refused(404, f"There is no '{after[:64]}' in this list.", "after", "not_found")
    rest = found[names.index(after) + 1 :] if after is not None else found
    page = [shown(it) for it in rest[:most]]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return JSONResponse({"object": "list", "data": page, "has_more": len(rest) > len(page)} | ends)


def _check_start(name: str) -> None:
    try:
        if name not in (AUTO, NONE):
            Starts().shelf(name)
    except NameRefused as error:
        raise Refused(400, str(error), "metadata") from None


async def _sent(request: Request, limits: Limits) -> tuple[str, str, bytes]:
    """Name, purpose and content of the file in a multipart body.

    Raises:
        Refused: there is none, or it is too large or too slow.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Refused(400, "A multipart form is wanted, with the fields `file` and `purpose`.")
    body = await body_of(request, limits, limits.upload)

    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        # Other decoders may take minutes, or give what is no text.
        if parse_options_header(request.headers["content-type"])[1].get(b"charset", b"utf-8").lower() != b"utf-8":
            raise Refused(400, "The form's charset is another than utf-8: leave it out.")
        form = await MultiPartParser(request.headers, whole(), max_files=1, max_fields=8).parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise Refused(400, f"The form cannot be read ({getattr(error, 'message', 'it is broken')}).") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise Refused(400, "No file is given: send one as the form's field `file`.", "file")
        # The last part alone, whatever separates parts where the client lives.
        return file.filename.replace("\\", "/").rpartition("/")[2][-128:], str(form.get("purpose")), await file.read()
    finally:
        await form.close()
