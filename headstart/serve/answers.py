"""Rows' streams as OpenAI's answers: whole, or as server-sent events."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, final

import anyio
from anyio.to_thread import run_sync
from starlette.requests import Request

from headstart.serve.limits import Refused
from headstart.serve.request import Ended, Likely, Piece, Stream

_LOOK = 0.5
"""Seconds between looks whether the client is still there."""
_GLANCE = 0.02
"""Seconds that one row is waited for while others may have told something."""
_WAITERS = anyio.CapacityLimiter(512)


_JSON = partial(json.dumps, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@final
@dataclass(frozen=True)
class Form:
    """How an answer is written: chat's way, or that of plain completions."""

    chat: bool
    model: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:24])
    created: int = field(default_factory=lambda: int(time.time()))
    top: int | None = None
    """How many likely tokens are told at each place; None: no log-probabilities."""
    each: int = 1
    """Answers to each prompt, one behind the other."""

    def head(self, chunk: bool) -> dict[str, Any]:
        """What stands at the top of every answer and chunk."""
        kind = ("chat.completion.chunk" if chunk else "chat.completion") if self.chat else "text_completion"
        return {"id": f"{'chatcmpl' if self.chat else 'cmpl'}-{self.id}", "object": kind, "created": self.created, "model": self.model}

    def chunk(self, index: int, it: Piece | Ended, offset: int = 0) -> dict[str, Any]:
        """A piece of one row, or its end; `offset` letters of tokens came before it."""
        text, reason = ("", it.reason) if isinstance(it, Ended) else (it.text, None)
        said = {"delta": {"content": text} if isinstance(it, Piece) else {}} if self.chat else {"text": text}
        logprobs = self.logprobs(it, offset) if isinstance(it, Piece) else None
        return self.head(chunk=True) | {"choices": [{"index": index, **said, "logprobs": logprobs, "finish_reason": reason}]}

    def opening(self, index: int) -> dict[str, Any]:
        """Chat's first chunk, which says who speaks."""
        delta = {"role": "assistant", "content": ""}
        return self.head(chunk=True) | {"choices": [{"index": index, "delta": delta, "logprobs": None, "finish_reason": None}]}

    def logprobs(self, it: Piece, offset: int) -> dict[str, list[Any]] | None:
        """What is told of a piece's token, if there is one, in lists of one; those of several pieces are put together list by list."""
        if self.top is None:
            return None
        told = [(it.taken, it.likeliest[: self.top])] if it.taken else []
        if self.chat:
            return {"content": [_likely(taken) | {"top_logprobs": [_likely(other) for other in top]} for taken, top in told]}
        return {
            "tokens": [taken.text for taken, _ in told],
            "token_logprobs": [taken.logprob for taken, _ in told],
            "top_logprobs": [_by_text(top) for _, top in told],
            "text_offset": [offset for _ in told],
        }


@final
class Written:
    """A row's whole answer, made JSON piece by piece as it grows: all at its end would hold up everybody else, where much is told."""

    def __init__(self, form: Form) -> None:
        self._form, self._offset = form, 0
        self._text: list[str] = []
        self._logprobs: dict[str, list[str]] | None = form.logprobs(Piece(""), 0)

    def add(self, it: Piece) -> None:
        """What came next."""
        self._text.append(it.text)
        for name, told in (self._form.logprobs(it, self._offset) or {}).items():
            assert self._logprobs is not None
            self._logprobs[name] += map(_JSON, told)
        self._offset += letters(it)

    def choice(self, index: int, end: Ended | None) -> str:
        """All of it."""
        text, reason = "".join(self._text), end.reason if end else None
        said = {"message": {"role": "assistant", "content": text}} if self._form.chat else {"text": text}
        lists = None if self._logprobs is None else {name: f"[{','.join(told)}]" for name, told in self._logprobs.items()}
        logprobs = "null" if lists is None else _object(lists)
        parts = {name: _JSON(it) for name, it in {"index": index, **said, "finish_reason": reason}.items()}
        return _object(parts | {"logprobs": logprobs})


@final
@dataclass
class Answer:
    """One row, as it comes."""

    stream: Stream
    written: Written | None = None
    """Where all of it is told at once."""
    end: Ended | None = None

    async def next(self, seconds: float = _LOOK) -> Piece | Ended | None:
        """What comes next; None: nothing has come for so long."""
        try:
            it = await run_sync(self._take, seconds, limiter=_WAITERS)
        except TimeoutError:
            return None
        if isinstance(it, Ended):
            self.end = it
        return it

    def _take(self, seconds: float) -> Piece | Ended:
        it = self.stream.next(seconds)
        if self.written is not None and isinstance(it, Piece):
            self.written.add(it)
        return it


async def whole(request: Request, form: Form, streams: Sequence[Stream]) -> bytes:
    """All rows at once as JSON, when they have ended; a client that leaves frees them.

    Raises:
        Refused: a row failed.
    """
    answers = [Answer(stream, Written(form)) for stream in streams]
    try:
        looked = time.monotonic()
        for it in answers:
            while it.end is None:
                await it.next()
                if time.monotonic() > looked + _LOOK:
                    looked = time.monotonic()
                    if await request.is_disconnected():
                        raise Refused(499, "The client left.")
    finally:
        cancel(answers)
    failed = next((it.end for it in answers if it.end and it.end.failed), None)
    if failed is not None:
        raise Refused(504 if failed.reason == "late" else 503, failed.error)
    return await run_sync(_joined, form, answers)


def _joined(form: Form, answers: Sequence[Answer]) -> bytes:
    choices = ",".join(it.written.choice(i, it.end) for i, it in enumerate(answers) if it.written)
    parts = {name: _JSON(it) for name, it in (form.head(chunk=False) | {"usage": usage(answers, form.each)}).items()}
    return _object(parts | {"choices": f"[{choices}]"}).encode()


async def events(form: Form, streams: Sequence[Stream], with_usage: bool) -> AsyncIterator[bytes]:
    """Server-sent events of all rows as they grow; when the client leaves, this is closed and frees them."""
    answers, offsets = [Answer(stream) for stream in streams], [0] * len(streams)
    try:
        for index in range(len(answers)) if form.chat else ():
            yield event(form.opening(index))
        async for index, it in _pieces(answers):
            if isinstance(it, Ended) and it.failed:
                yield event({"error": {"message": it.error, "type": "server_error", "param": None, "code": None}})
            else:
                yield event(form.chunk(index, it, offsets[index]))
                offsets[index] += letters(it)
        if with_usage:
            yield event(form.head(chunk=True) | {"choices": [], "usage": usage(answers, form.each)})
        yield b"data: [DONE]\n\n"
    finally:
        cancel(answers)


async def _pieces(answers: Sequence[Answer]) -> AsyncIterator[tuple[int, Piece | Ended]]:
    """What rows tell, in turns, as they take their tokens in turns."""
    while going := [index for index, it in enumerate(answers) if it.end is None]:
        for index in going:
            it = await answers[index].next(_LOOK if len(going) == 1 else _GLANCE)
            if it is not None:
                yield index, it


def cancel(answers: Sequence[Answer]) -> None:
    """Free the rows that nobody reads any more."""
    for it in answers:
        if it.end is None:
            it.stream.cancel()


def event(body: Mapping[str, Any], id: str | None = None, kind: str | None = None) -> bytes:
    """One server-sent event."""
    head = (f"id: {id}\n" if id else "") + (f"event: {kind}\n" if kind else "")
    return f"{head}data: {json.dumps(body)}\n\n".encode()


def usage(answers: Sequence[Answer], each: int) -> dict[str, Any]:
    """Tokens, of all rows; of a prompt that each so many of them answer, once."""
    prompts, ends = ([it.end for it in answers[::step] if it.end] for step in (each, 1))
    read, written = sum(end.prompt_tokens for end in prompts), sum(end.completion_tokens for end in ends)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": sum(end.cached_tokens for end in prompts)},
    }


def letters(it: Piece | Ended) -> int:
    """Of the token that a piece tells."""
    return it.taken.letters if isinstance(it, Piece) and it.taken else 0


def _object(parts: Mapping[str, str]) -> str:
    """JSON of what is JSON already."""
    return f"{{{','.join(f'{_JSON(name)}:{part}' for name, part in parts.items())}}}"


def _likely(it: Likely) -> dict[str, Any]:
    return {"token": it.text, "logprob": it.logprob, "bytes": None if it.bytes is None else list(it.bytes)}


def _by_text(likeliest: Sequence[Likely]) -> dict[str, float]:
    """Of tokens of one text the likeliest, which comes first."""
    told: dict[str, float] = {}
    for it in likeliest:
        told.setdefault(it.text, it.logprob)
    return told
