"""An adapter that is replaced while it is read: what is used is one of the two, never one's weights beside the other's examples."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.adapters import peft
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of, wear
from headstart.commands import export
from headstart.episode import Example
from headstart.errors import AdapterRefused
from headstart.lm.load import Base
from tests.conftest import Told
from tests.serve.conftest import loud

SITE = "model.layers.0.self_attn.q_proj.lora_B"
KEPT = {told: (Example.pair("q", f"of the {told}"),) for told in ("old", "new")}


@pytest.fixture
def put(home: Path, tiny: Base) -> Callable[[str], torch.Tensor]:
    """Write an adapter, and in its place another; a part of its weights."""

    def put(told: str) -> torch.Tensor:
        weights, record = loud(tiny, ord(told[0])), {"base": asdict(key_of(tiny)), "prefix": 1, "system": told}
        Shelf().write("x", weights, record, 4, KEPT[told], replace=True)
        return peft.read(Shelf().path("x"))[0][SITE]

    put("old")
    return put


def test_what_is_worn_is_all_of_one(tiny: Base, put: Callable[[str], torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    prefix, new = Shelf.prefix, []

    def replaced(it: Shelf, name: str) -> list[Example]:
        if not new:
            new.append(put("new"))
        return prefix(it, name)

    monkeypatch.setattr(Shelf, "prefix", replaced)
    worn = wear(tiny, Shelf(), "x")
    worn.net.remove()
    assert (tuple(worn.before), worn.system) == (KEPT["new"], "new")
    assert torch.equal(worn.bank[SITE][1], new[0])


def test_what_never_rests_is_refused(tiny: Base, put: Callable[[str], torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = Shelf.prefix
    monkeypatch.setattr(Shelf, "prefix", lambda it, name: (prefix(it, name), put("new"))[0])
    with pytest.raises(AdapterRefused, match="'x' is being written"):
        wear(tiny, Shelf(), "x")


def test_an_export_is_all_of_one_however_long_the_base_takes_to_load(
    headstart: Callable[..., Told],
    base_folder: Path,
    tmp_path: Path,
    put: Callable[[str], torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load, new = export.open_base, []

    def slow(*args: Any, **kwargs: Any) -> Base:
        base = load(*args, **kwargs)
        new.append(put("new"))
        return base

    monkeypatch.setattr(export, "open_base", slow)
    told = headstart("adapters", "export", "x", "--to", "peft", "--out", tmp_path / "out", "--base", base_folder, "--json")
    assert told.json["system"] == (tmp_path / "out" / "system.txt").read_text() == "new"
    assert [it["content"] for it in json.loads((tmp_path / "out" / "prefix.jsonl").read_text())["messages"]] == ["q", "of the new"]
    assert torch.equal(peft.read(tmp_path / "out")[0][SITE], new[0])
