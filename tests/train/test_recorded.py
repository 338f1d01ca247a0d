"""A recorded meta-step, as far as no GPU is needed for it."""

import contextlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from headstart.errors import SettingsError
from headstart.tasks.sine import Sine
from headstart.train import recorded
from headstart.train.recorded import Recorded


@dataclass(frozen=True)
class Fails:
    """At the recording, after it has warmed up."""

    error: Exception
    steps: list[int] = field(default_factory=list)

    def meta_gradient(self, meta: Any, episodes: Any) -> Any:
        self.steps.append(0)
        if len(self.steps) > recorded._WARM:
            raise self.error


@pytest.mark.parametrize(
    ("error", "said"), [(torch.OutOfMemoryError("full"), torch.OutOfMemoryError), (RuntimeError("looks at a number"), SettingsError)]
)
def test_want_of_memory_is_told_as_that(monkeypatch: pytest.MonkeyPatch, error: Exception, said: type[Exception]) -> None:
    stream = SimpleNamespace(wait_stream=lambda _: None)
    card = {"Stream": lambda: stream, "current_stream": lambda: stream, "CUDAGraph": object}
    for name, stand_in in (card | dict.fromkeys(("stream", "graph"), lambda _: contextlib.nullcontext())).items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    with pytest.raises(said):
        Recorded(Fails(error)).meta_gradient({}, Sine().draw("train", 0, 1))  # type: ignore[arg-type]
