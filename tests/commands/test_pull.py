"""`headstart adapters pull`, against a stand-in of the hub: the same adapter comes back, and nothing that is not one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch

from headstart.adapters import peft
from headstart.adapters.store import PREFIX, RECORD, Shelf
from headstart.adapters.wear import key_of, wear
from headstart.lm.load import Base
from tests.commands.conftest import FIVE, foreign
from tests.commands.hub_stand_in import TOKEN, Hub
from tests.conftest import Told, next_logits

Run = Callable[..., Told]


# The hub's library sends large files in a way that its HTTP library is about to drop.
@pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")
@pytest.mark.parametrize("lfs", [False, True])
def test_what_is_pushed_and_pulled_is_the_same_adapter(
    headstart: Run, hub: Hub, shelf: Shelf, tiny: Base, base_folder: Path, lfs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.lfs = lfs
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    told = headstart("adapters", "push", "kept", "jane/kept", "--yes", "--about", "Says colours.", "--licence", "CC BY 4.0", "--json")
    assert told.code == 0, told.err
    assert f"{PREFIX} goes along: 2 of your examples" in told.err
    assert (told.json["url"], told.json["private"], set(told.json["files"])) == (f"{hub.url}/jane/kept", False, FIVE)
    assert set(hub.repos["jane/kept"].files) == FIVE | {".gitattributes"}
    assert hub.repos["jane/kept"].messages == ["initial commit", "The adapter kept"]
    told = headstart("adapters", "pull", "jane/kept", "--name", "back", "--base", base_folder, "--json")
    assert told.code == 0, told.err
    assert {"name": "back", "revision": hub.repos["jane/kept"].commits[-1][0], "prefix": 2, "record": True}.items() <= told.json.items()
    assert told.json["base_checked"] is True
    there, here = shelf.path("kept"), shelf.path("back")
    assert {path.name for path in here.iterdir()} == FIVE
    for file in (peft.WEIGHTS, PREFIX):
        assert (here / file).read_bytes() == (there / file).read_bytes()
    base = {"base": asdict(key_of(tiny)) | {"name": base_folder.name, "local": True}}
    assert shelf.record("back") == shelf.record("kept") | base | {"about": "Says colours.", "licence": "CC BY 4.0"}
    worn = [wear(tiny, shelf, name) for name in ("kept", "back")]
    said = [next_logits(it.net, it.bank, it.slot, [5, 6, 7]) for it in worn]
    for it in reversed(worn):
        it.net.remove()
    assert torch.equal(*said)
    assert worn[0].before == worn[1].before


def test_an_adapter_of_another_tool_is_taken_and_handed_on(headstart: Run, hub: Hub, shelf: Shelf, base_folder: Path) -> None:
    hub.put("joe/lora", foreign(shelf) | {"optimizer.pt": b"code", "checkpoint.safetensors": b"x"})
    told = headstart("adapters", "pull", "joe/lora", "--json")
    assert told.code == 0, told.err
    facts = {"base": "some/base", "base_checked": False, "record": False, "prefix": 0, "scores": {}, "licence": None}
    assert facts.items() <= told.json.items()
    assert set(hub.asked) == {peft.CONFIG, peft.WEIGHTS, "README.md"}
    assert (shelf.path("lora") / "README.md").read_text() == "# Mine[31m\ufffd\n"
    assert headstart("adapters", "pull", "joe/lora", "--replace", "--base", base_folder).code == 0
    assert headstart("adapters", "push", "lora", "jane/lora", "--licence", "their own").code == 0
    assert set(hub.repos["jane/lora"].files) == {".gitattributes", peft.CONFIG, peft.WEIGHTS, "README.md"}
    assert "A LoRA for `some/base`.\n" in hub.repos["jane/lora"].files["README.md"].decode()


def test_what_a_maker_wrote_is_shown_under_the_name_that_it_has_here(headstart: Run, hub: Hub, shelf: Shelf) -> None:
    assert headstart("adapters", "push", "plain", "jane/plain").code == 0
    hub.repos["jane/plain"].files["README.md"] += b"\nAsk it in \x1bFrench.\n"
    assert headstart("adapters", "pull", "jane/plain", "--name", "theirs").code == 0
    assert headstart("adapters", "rename", "theirs", "mine").code == 0
    shown = headstart("adapters", "show", "mine").out
    assert "\nAsk it in French.\n" in shown
    assert "\n# mine\n" in shown
    (shelf.path("mine") / "README.md").unlink()
    assert "\n# mine\n" in headstart("adapters", "show", "mine").out
    assert headstart("adapters", "push", "mine", "jane/mine").code == 0
    assert b"\n# mine\n" in hub.repos["jane/mine"].files["README.md"]


def test_another_base_is_refused(headstart: Run, hub: Hub, shelf: Shelf, base_folder: Path) -> None:
    assert headstart("adapters", "push", "plain", "jane/plain").code == 0
    record = json.loads(hub.repos["jane/plain"].files[RECORD])
    record["base"]["content"] = "f" * 64
    hub.repos["jane/plain"].files[RECORD] = json.dumps(record).encode()
    told = headstart("adapters", "pull", "jane/plain", "--name", "new", "--base", base_folder)
    assert (told.code, "the base's weights" in told.err) == (1, True)
    assert sorted(path.name for path in shelf.root.iterdir()) == ["kept", "plain"]


BAD: list[tuple[str, dict[str, bytes | None], str]] = [
    ("pickled", {peft.WEIGHTS: None, "adapter_model.bin": b"\x80"}, "a pickle, which could run code"),
    ("weightless", {peft.WEIGHTS: None}, f"has no {peft.WEIGHTS}"),
    ("whole", {peft.CONFIG: None}, "is no adapter"),
    ("torn", {peft.WEIGHTS: b"\x00\x01"}, "are broken"),
    ("dora", {peft.CONFIG: b'{"peft_type": "LORA", "use_dora": true}'}, "is no plain LoRA"),
    (
        "loud",
        {RECORD: b'{"scores": {"adapter": {"exact_match": "all", "loss": 1}}, "verdict": "\\u001b[2J"}'},
        "scores.adapter.exact_match",
    ),
    ("odd", {RECORD: b"[]"}, "is not what headstart writes"),
    ("front", {PREFIX: b"{}"}, f"The {PREFIX} of 'front'"),
]


@pytest.mark.parametrize(("name", "files", "why"), BAD, ids=[it[0] for it in BAD])
def test_what_is_broken_never_reaches_the_shelf(headstart: Run, hub: Hub, shelf: Shelf, name: str, files: dict[str, Any], why: str) -> None:
    hub.put(f"joe/{name}", {file: content for file, content in (foreign(shelf) | files).items() if content is not None})
    told = headstart("adapters", "pull", f"joe/{name}")
    assert (told.code, told.out) == (1, "")
    assert why in told.err
    assert told.err.startswith("error: ")
    assert sorted(path.name for path in shelf.root.iterdir()) == ["kept", "plain"]


@pytest.mark.parametrize(
    ("file", "size", "why"), [(peft.WEIGHTS, 1_000_000_001, "1,000 MB at most"), ("README.md", 10**9, "20 MB at most")]
)
def test_what_is_too_large_is_not_fetched(headstart: Run, hub: Hub, shelf: Shelf, file: str, size: int, why: str) -> None:
    hub.put("joe/big", foreign(shelf))
    hub.lies[file] = size
    told = headstart("adapters", "pull", "joe/big")
    assert (told.code, why in told.err) == (1, True)
    assert hub.asked == []


def test_a_file_other_than_the_one_listed_is_refused(headstart: Run, hub: Hub, shelf: Shelf) -> None:
    hub.put("joe/other", foreign(shelf))
    hub.lies[peft.WEIGHTS] = 77
    told = headstart("adapters", "pull", "joe/other")
    assert (told.code, "is not the file that the hub lists" in told.err) == (1, True)


def test_whatever_the_hub_refuses_is_one_line(headstart: Run, hub: Hub, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put("joe/gated", foreign(shelf), gated=True)
    hub.put("jane/model", {"model.safetensors": b"", "config.json": b"{}"})

    def refused(why: str, *words: str) -> None:
        told = headstart("adapters", *words)
        assert (told.code, told.out) == (1, "")
        assert why in told.err
        assert told.err.splitlines()[-1].startswith("error: ")
        assert "Traceback" not in told.err

    refused("There is no model 'joe/absent'", "pull", "joe/absent")
    refused("is gated", "pull", "joe/gated")
    refused("no such revision", "pull", "joe/gated", "--revision", "v9")
    refused("owner/name is wanted", "pull", "gated")
    refused("owner/name is wanted", "push", "plain", "a/b/c")
    refused("is no adapter name", "pull", "joe/gated", "--name", "../x")
    refused("There is no adapter 'nobody'", "push", "nobody", "jane/x")
    refused("holds something else than an adapter (config.json, model.safetensors)", "push", "plain", "jane/model")
    refused("may not do that to 'joe/x' (You don't have the rights", "push", "plain", "joe/x")
    monkeypatch.setenv("HF_TOKEN", "hf_stale")
    refused("does not know this token", "push", "plain", "jane/x")
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(shelf.root / "none"))
    refused("Nobody is logged in", "push", "plain", "jane/x")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    refused("cannot be reached", "push", "plain", "jane/x")
    refused("cannot be reached", "pull", "joe/gated")
    refused("is to stay offline", "pull", "joe/gated", "--offline")
    refused("is to stay offline", "push", "plain", "jane/x")
    assert set(hub.repos) == {"joe/gated", "jane/model"}
