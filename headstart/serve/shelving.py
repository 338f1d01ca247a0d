"""The shelf over HTTP: cards, other names, removal that can be undone, and adapters as files for other tools."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, final

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from headstart.adapters import facts, trash
from headstart.adapters.export import Form, gguf_base, write
from headstart.adapters.starts import Starts, refuse_start
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.episode import as_chat
from headstart.errors import AdapterRefused, NameRefused
from headstart.lm.load import Base
from headstart.serve.limits import Limits, Refused, json_of
from headstart.serve.placeless import placeless, public_name
from headstart.serve.request import Engine
from headstart.serve.shelf_request import RenameRequest, RestoreRequest
from headstart.serve.spare import Spare
from headstart.serve.wire import read

FORMS: tuple[Form, ...] = ("peft", "gguf", "ollama")
_TOLD = ("steps", "seconds", "ways", "folds", "clear", "advice", "starts", "glances", "peak_memory_bytes", "versions", "job")
_BLOCK = 1 << 16
"""Bytes of a download that are read at once."""


@final
@dataclass(frozen=True)
class Shelving:
    """A shelf behind HTTP.

    Args:
        engine: that serves from it, and lets go what leaves it.
        shelf: see there.
        spare: the base that exports are written for.
        limits: of requests.
        taken: names that nothing may be given, such as the base's and those of jobs at work.
    """

    engine: Engine
    shelf: Shelf
    spare: Spare
    limits: Limits
    taken: Callable[[], set[str]]

    def routes(self) -> list[Route]:
        """For `Api.app`."""
        one = "/v1/adapters/{id}"
        return [
            Route("/v1/adapters", self.adapters),
            Route(one, self.adapter),
            Route(one, self.remove, methods=["DELETE"]),
            Route(one + "/rename", self.rename, methods=["POST"]),
            Route(one + "/export/{form}", self.export),
            Route("/v1/removed", self.removed),
            Route("/v1/removed", self.purge, methods=["DELETE"]),
            Route("/v1/removed/restore", self.restore, methods=["POST"]),
            Route("/v1/starts", self.starts),
        ]

    async def adapters(self, request: Request) -> Response:
        """Every adapter of the shelf, the broken too, with what is wrong with them."""
        return JSONResponse({"object": "list", "data": await run_sync(self._all)})

    async def adapter(self, request: Request) -> Response:
        """Everything that is known of one, the examples that it keeps included."""
        return JSONResponse(await run_sync(self._whole, request.path_params["id"]))

    async def remove(self, request: Request) -> Response:
        """Take one off the shelf; it can be had back until the next is."""
        return JSONResponse(await run_sync(self._remove, request.path_params["id"]))

    async def rename(self, request: Request) -> Response:
        """Call one something else."""
        to = read(RenameRequest, await json_of(request, self.limits)).to
        return JSONResponse(await run_sync(self._rename, request.path_params["id"], to))

    async def export(self, request: Request) -> Response:
        """One as a zip of what another tool reads."""
        name, form = request.path_params["id"], request.path_params["form"]
        if form not in FORMS:
            raise Refused(404, f"There is no form '{form[:32]}': {', '.join(FORMS)}.", "form", "not_found")
        file = await run_sync(self._zipped, name, form, limiter=self.spare.users)
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        headers = {"Content-Disposition": f'attachment; filename="{name}-{form}.zip"', "Content-Length": str(size)}
        return StreamingResponse(_read(file), media_type="application/zip", headers=headers | {"X-Content-Type-Options": "nosniff"})

    async def removed(self, request: Request) -> Response:
        """What was taken off last and can be had back."""
        last = await run_sync(trash.removed, self.shelf)
        data = [] if last is None else [{"id": last.name, "object": "adapter", "removed": last.when}]
        return JSONResponse({"object": "list", "data": data})

    async def purge(self, request: Request) -> Response:
        """Let it go for good."""
        last = await run_sync(self._last, request.query_params.get("id"))
        gone = await run_sync(trash.purge, self.shelf, last)
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "adapter", "deleted": True} for name in gone]})

    async def restore(self, request: Request) -> Response:
        """Put it back."""
        return JSONResponse(await run_sync(self._restore, read(RestoreRequest, await json_of(request, self.limits))))

    async def starts(self, request: Request) -> Response:
        """Where adapters may begin."""
        return JSONResponse({"object": "list", "data": await run_sync(self._starts)})

    def _all(self) -> list[dict[str, Any]]:
        resident, problems, found = self._resident(), self.engine.problems(), []
        for name in self.shelf.names():
            try:
                found.append(self._card(name, resident, problems))
            except NameRefused:
                # It was removed meanwhile.
                continue
        return found

    def _card(self, name: str, resident: dict[str, int], problems: dict[str, str]) -> dict[str, Any]:
        told = facts.adapter(self.shelf, name)
        problem = told["problem"] or problems.get(name)
        kept = ("examples", "start", "scores", "verdict", "prefix")
        return {
            "id": name,
            "object": "adapter",
            "created": told["created"],
            "base": public_name(str(told["base"] or "?")),
            "bytes": told["adapter_bytes"],
            "loaded": name in resident,
            "loaded_bytes": resident.get(name, 0),
            "problem": placeless(problem) if problem else None,
        } | {key: told[key] for key in kept}

    def _whole(self, name: str) -> dict[str, Any]:
        card = self._card(name, self._resident(), self.engine.problems())
        try:
            record, before = self.shelf.record(name), self.shelf.prefix(name)
        except AdapterRefused:
            record, before = {}, []
        return card | {key: record.get(key) for key in _TOLD} | {"before": [as_chat(example.messages) for example in before]}

    def _resident(self) -> dict[str, int]:
        return {it.name: it.bytes for it in self.engine.served() if it.resident and it.parent is not None}

    def _starts(self) -> list[dict[str, Any]]:
        starts, found = Starts(), []
        for name in starts.names():
            told = facts.start(starts, name)
            base_name = public_name(str(told["base"] or "?"))
            keys = ("about", "score", "steps", "rate", "bytes")
            told |= {"base": base_name, "problem": placeless(told["problem"]) or None, "fits": told["content"] == self.spare.content_hash}
            found.append({"id": name, "object": "start"} | {key: told[key] for key in (*keys, "base", "fits", "problem")})
        return found

    def _remove(self, name: str) -> dict[str, Any]:
        trash.remove(self.shelf, name)
        self._let_go(name)
        return {"id": name, "object": "adapter", "deleted": True}

    def _rename(self, name: str, to: str) -> dict[str, Any]:
        self.shelf.known(name)
        self._check_free(to)
        self.shelf.rename(name, to)
        self._let_go(name)
        return self._whole(to)

    def _last(self, meant: str | None) -> trash.Removed | None:
        """What was taken off last; refused where a request means another, as somebody else may have changed that since."""
        last = trash.removed(self.shelf)
        if meant is not None and (last is None or last.name != meant):
            why = "it is back, gone for good, or another was removed since"
            raise Refused(409, f"'{meant[:64]}' is not what was removed last: {why}.", "id")
        return last

    def _restore(self, asked: RestoreRequest) -> dict[str, Any]:
        last = self._last(asked.id)
        if last is not None:
            self._check_free(asked.to or last.name)
        return self._whole(trash.restore(self.shelf, asked.to, last))

    def _check_free(self, name: str) -> None:
        try:
            refuse_start(name)
            self.shelf.named(name)
            taken = self.shelf.taken(name)
        except NameRefused as error:
            raise Refused(400, str(error), "to") from None
        if taken or name in self.taken():
            why = "that of an adapter, of the base or of a job that has not ended"
            raise Refused(409, f"The name '{name}' is taken ({why}): give another.", "to")

    def _let_go(self, name: str) -> None:
        """Out of the bank, where it is in it; rows at work keep it to their end."""
        try:
            self.engine.unload(name)
        except NameRefused:
            return

    def _zipped(self, name: str, form: Form) -> BinaryIO:
        """A file without a name, so that nothing is left of it whatever happens."""
        self.shelf.known(name)
        if problem := self.engine.problems().get(name):
            raise AdapterRefused(problem)
        with self.spare.held() as base, tempfile.TemporaryDirectory() as folder:
            it = self.shelf.adapter(name, key_of(base))
            # Nobody else has the base where it lies here.
            write(form, Path(folder), replace(base, name=public_name(base.name)), it.weights, it.prefix, it.system)
            if form == "ollama":
                _beside(Path(folder) / "Modelfile", base)
            file = tempfile.TemporaryFile()  # noqa: SIM115 - `_read` closes it.
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
                for path in sorted(Path(folder).iterdir()):
                    packed.write(path, f"{name}-{form}/{path.name}")
        return file


def _beside(modelfile: Path, base: Base) -> None:
    """Have the base's GGUF looked for beside the Modelfile."""
    there = gguf_base(replace(base, name=public_name(base.name)))
    text = modelfile.read_text(encoding="utf-8")
    modelfile.write_text(text.replace(f"FROM {there}\n", f"FROM ./{Path(there).name}\n", 1), encoding="utf-8")


def _read(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK):
            yield block
