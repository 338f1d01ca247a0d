"""The llama-server that is ours: nobody else's."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from headstart.adapters import peers
from headstart.adapters.remote import Remote
from headstart.errors import EngineGone


def test_it_answers_whoever_began_it_alone(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_API_KEY", "what everyone has read")
    with peers.llama_server(program, Path("base.gguf"), [Path("a.gguf")]) as there:
        key = there.headers["Authorization"].removeprefix("Bearer ")
        assert len(key) == 64
        assert key not in (program.parent / "words").read_text(), "everyone on the machine can read what a process was begun with"
        for stranger in ({}, {"Authorization": "Bearer what everyone has read"}):
            assert httpx.get(f"{there.address}/lora-adapters", headers=stranger).status_code == 401
            assert httpx.post(f"{there.address}/completion", headers=stranger, json={"prompt": [1]}).status_code == 401
        assert peers.likeliest(there)([1], True)[0] == -1.0


def test_one_at_an_address_is_asked_with_its_key_throughout(program: Path) -> None:
    with peers.llama_server(program, Path("base.gguf"), [Path("a.gguf")]) as there:
        key = there.headers["Authorization"].removeprefix("Bearer ")
        assert peers.at(Remote(there.address, key), "a")([1], True)[0] == -1.0
        with pytest.raises(EngineGone, match="401"):
            peers.at(Remote(there.address), "a")
