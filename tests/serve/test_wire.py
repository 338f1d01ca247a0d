"""What clients send, as the engine is asked."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from starlette.requests import Request

from headstart.serve.job_request import JobRequest
from headstart.serve.limits import Limits, Refused, json_of
from headstart.serve.wire import ChatRequest, CompletionRequest, M, read


@pytest.mark.parametrize(("more", "param"), [({"prompt": ["x"] * 17}, "prompt"), ({"prompt": ["x"] * 5, "n": 4}, "n")])
def test_what_asks_for_too_many_answers_is_named(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Refused, match="16 at most") as refused:
        read(CompletionRequest, {"model": "a", **more}).asks("a", Limits())
    assert refused.value.param == param


CHAT = {
    "model": "a",
    "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}, {"role": "user", "content": "z"}],
}
JOB = {"model": "a", "training_file": "file-1"}


@pytest.mark.parametrize(
    ("shape", "body", "more"),
    [
        (ChatRequest, CHAT, {"messages": [{**it, "refusal": None, "tool_calls": None} for it in CHAT["messages"]]}),
        (ChatRequest, CHAT | {"stream_options": {}}, {"stream_options": {"include_usage": None}}),
        (JobRequest, JOB | {"hyperparameters": {}}, {"hyperparameters": {"n_epochs": None, "batch_size": None}, "suffix": None}),
    ],
)
def test_what_is_null_is_not_there_at_any_depth(shape: type[M], body: dict[str, Any], more: dict[str, Any]) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(body | more).encode(), "more_body": False}

    assert read(shape, anyio.run(json_of, Request({"type": "http", "headers": []}, receive), Limits())) == read(shape, body)


def test_who_of_several_speaks_is_refused_as_every_field_that_is_not_known() -> None:
    with pytest.raises(Refused, match=r"^messages\.0\.name: not known here\.$"):
        read(ChatRequest, {"model": "a", "messages": [{"role": "user", "content": "x", "name": "Ann"}]})
