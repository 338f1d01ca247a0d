"""Answers as OpenAI's clients read them: whole and streamed alike, and large ones without holding up everybody else."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from headstart.serve.answers import Form, events, whole
from headstart.serve.limits import Refused
from headstart.serve.request import Ended, Likely, Piece, Reason, Stream

WORDS = ("ab", "c", "déf")


class Patient:
    """A client that stays."""

    async def is_disconnected(self) -> bool:
        return False


def told(words: Sequence[str], likely: int = 2) -> Stream:
    stream = Stream()
    for word in words:
        top = tuple(Likely(f"{word}{i}", -1.0 - i) for i in range(likely))
        stream.tell(Piece(word, Likely(word, -0.5), top))
    stream.tell(Ended("length", 7, len(words), 3))
    return stream


def at_once(form: Form, *streams: Stream) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(anyio.run(whole, Patient(), form, streams))
    return found


def streamed(form: Form, *streams: Stream) -> list[dict[str, Any]]:
    async def read() -> list[bytes]:
        return [it async for it in events(form, streams, with_usage=True)]

    return [json.loads(it.removeprefix(b"data: ")) for it in anyio.run(read)[:-1]]


@pytest.mark.parametrize("chat", [True, False])
def test_what_is_streamed_adds_up_to_what_is_told_at_once(chat: bool) -> None:
    form = Form(chat, "m", top=2)
    one = at_once(form, told(WORDS), told(WORDS[1:]))
    chunks = streamed(form, told(WORDS), told(WORDS[1:]))
    assert one["usage"] == chunks[-1]["usage"]
    for index, choice in enumerate(one["choices"]):
        parts = [it["choices"][0] for it in chunks if it["choices"] and it["choices"][0]["index"] == index]
        likely: dict[str, list[Any]] = {}
        for part in parts:
            for name, values in (part["logprobs"] or {}).items():
                likely[name] = likely.get(name, []) + values
        assert choice["logprobs"] == likely
        assert choice["finish_reason"] == parts[-1]["finish_reason"] == "length"
        text = "".join(part["delta"].get("content", "") if chat else part["text"] for part in parts)
        assert (choice["message"]["content"] if chat else choice["text"]) == text == "".join(WORDS[index:])


@pytest.mark.parametrize("chat", [True, False])
def test_a_prompt_is_counted_once_however_many_answer_it(chat: bool) -> None:
    form, rows = Form(chat, "m", each=2), 2 if chat else 4
    used = at_once(form, *(told(WORDS) for _ in range(rows)))["usage"]
    assert used == streamed(form, *(told(WORDS) for _ in range(rows)))[-1]["usage"]
    prompts = rows // 2
    assert (used["prompt_tokens"], used["completion_tokens"]) == (7 * prompts, 3 * rows)
    assert used["prompt_tokens_details"]["cached_tokens"] == 3 * prompts


@pytest.mark.parametrize(("reason", "status"), [("late", 504), ("error", 503)])
def test_the_status_of_a_row_that_failed_goes_by_its_reason(reason: Reason, status: int) -> None:
    streams = Stream(), Stream()
    for stream in streams:
        stream.tell(Ended(reason, 7, 0, error="It took longer than a word says."))
    with pytest.raises(Refused, match="longer than a word") as refused:
        at_once(Form(True, "m"), streams[0])
    assert refused.value.status == status
    assert streamed(Form(True, "m"), streams[1])[1]["error"]["type"] == "server_error"


def test_offsets_run_on_from_piece_to_piece_of_each_row() -> None:
    form = Form(False, "m", top=1)
    assert at_once(form, told(WORDS))["choices"][0]["logprobs"]["text_offset"] == [0, 2, 3]
    parts = [it["choices"][0] for it in streamed(form, told(WORDS), told(WORDS)) if it["choices"]]
    assert [part["logprobs"]["text_offset"] for part in parts if part["index"] == 1 and part["logprobs"]] == [[0], [2], [3]]


@pytest.mark.parametrize("form", [Form(True, "m"), Form(False, "m"), Form(True, "m", top=0), Form(False, "m", top=0)])
def test_log_probabilities_are_told_as_far_as_they_were_asked_for(form: Form) -> None:
    logprobs = at_once(form, told(WORDS))["choices"][0]["logprobs"]
    if form.top is None:
        assert logprobs is None
    elif form.chat:
        assert [it["token"] for it in logprobs["content"]] == list(WORDS)
        assert logprobs["content"][2] == {"token": "déf", "logprob": -0.5, "bytes": list("déf".encode()), "top_logprobs": []}
    else:
        assert (logprobs["tokens"], logprobs["top_logprobs"]) == (list(WORDS), [{}, {}, {}])


@pytest.mark.parametrize("chat", [True, False])
def test_a_large_answer_holds_nobody_up(chat: bool) -> None:
    streams, longest = [told(["word"] * 4096, 20) for _ in range(2)], 0.0

    async def answered() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await whole(Patient(), Form(chat, "m", top=20), streams)  # type: ignore[arg-type]
            group.cancel_scope.cancel()

    async def watch() -> None:
        nonlocal longest
        while True:
            looked = time.monotonic()
            try:
                await anyio.sleep(0.001)
            finally:
                longest = max(longest, time.monotonic() - looked)

    anyio.run(answered)
    assert longest < 1
