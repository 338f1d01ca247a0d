"""A stand-in of the hub, adapters to be shared over it, and runs without what takes long."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from headstart import disk
from headstart.adapters import peft
from headstart.adapters.store import PREFIX, RECORD, Shelf
from headstart.adapters.wear import key_of
from headstart.lm.load import Base
from headstart.train import job as train_job
from tests.commands.hub_stand_in import TOKEN, Hub, running
from tests.serve.conftest import BEFORE, loud

FIVE = {peft.CONFIG, peft.WEIGHTS, RECORD, PREFIX, "README.md"}
FACTS: dict[str, Any] = {
    "examples": 7,
    "examples_hash": "e" * 64,
    "start": "none",
    "steps": 9,
    "seconds": 1.25,
    "folds": 3,
    "peak_memory_bytes": 512_000_000,
    "scores": {
        "base": {"exact_match": 0.0, "loss": 3.5},
        "prompt": {"exact_match": 0.25, "loss": 1.5},
        "adapter": {"exact_match": 0.75, "loss": 0.125},
    },
    "advice": "Use the adapter.",
    "versions": {"headstart": "0.1.0"},
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures and waiting for the disk are tested elsewhere."""
    monkeypatch.setattr(train_job, "draw", lambda *_: False)
    monkeypatch.setattr(disk, "_sync", lambda _: None)


@pytest.fixture
def hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running(Hub()) as it:
        monkeypatch.setenv("HF_ENDPOINT", it.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        yield it
        huggingface_hub.close_session()


@pytest.fixture
def shelf(home: Path, tiny: Base) -> Shelf:
    """`plain` by weights alone, `kept` with examples in front."""
    shelf, record = Shelf(), FACTS | {"base": asdict(key_of(tiny))}
    shelf.write("plain", loud(tiny, 1), record, 4)
    shelf.write("kept", loud(tiny, 2), record | {"prefix": 2}, 4, BEFORE)
    return shelf


def foreign(shelf: Shelf, base: str = "some/base") -> dict[str, bytes]:
    """An adapter as PEFT alone would have pushed it."""
    folder = shelf.path("plain")
    config = json.loads((folder / peft.CONFIG).read_text()) | {"base_model_name_or_path": base}
    return {
        peft.CONFIG: json.dumps(config).encode(),
        peft.WEIGHTS: (folder / peft.WEIGHTS).read_bytes(),
        "README.md": b"# Mine\x1b[31m\xff\n",
    }
