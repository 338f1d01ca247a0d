"""What clients send, as the engine is asked."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.serve.limits import Limits, Refused
from headstart.serve.wire import CompletionRequest, read


@pytest.mark.parametrize(("more", "param"), [({"prompt": ["x"] * 17}, "prompt"), ({"prompt": ["x"] * 5, "n": 4}, "n")])
def test_what_asks_for_too_many_answers_is_named(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Refused, match="16 at most") as refused:
        read(CompletionRequest, {"model": "a", **more}).asks("a", Limits())
    assert refused.value.param == param
