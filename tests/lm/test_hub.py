"""Bases from the hub, over HTTP from a stand-in: what earlier runs left behind in part is made whole, or said to be a part."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file

from headstart.commands import opening
from headstart.errors import BaseRefused
from headstart.lm.load import folder_hash, load
from headstart.plan.source import model
from headstart.whole import lacking
from tests.commands.hub_stand_in import TOKEN, Hub, running

NAME, SHARDS = "owner/tiny", ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = "model.safetensors.index.json"
Offline = Callable[[], None]


@pytest.fixture(scope="module")
def sharded(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base in two weight files."""
    folder = tmp_path_factory.mktemp("bases") / "sharded"
    folder.mkdir()
    for file in base_folder.iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    weights = load_file(base_folder / "model.safetensors")
    places = {name: SHARDS[i % 2] for i, name in enumerate(weights)}
    for shard in SHARDS:
        save_file({name: weights[name] for name, place in places.items() if place == shard}, folder / shard, {"format": "pt"})
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


@pytest.fixture
def hub(sharded: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has the tiny base in two weight files, and an empty cache."""
    with running(Hub()) as it:
        it.put(NAME, {file.name: file.read_bytes() for file in sharded.iterdir()})
        at(monkeypatch, it.url)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield it
        huggingface_hub.close_session()


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Offline:
    """Takes the network away."""
    return lambda: at(monkeypatch, "http://127.0.0.1:9")


def at(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """As HF_ENDPOINT would say it, which the hub's library reads once."""
    template = huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template.replace(huggingface_hub.constants.ENDPOINT, url))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)


def alone(*files: str) -> None:
    """Files fetched one by one, which leaves no list of all that there are."""
    for file in files:
        huggingface_hub.hf_hub_download(NAME, file)


def cut_short(*files: str) -> None:
    """What a download of the whole leaves that ended after these files: the list of all, and them."""
    huggingface_hub.snapshot_download(NAME, allow_patterns=list(files))


SMALL = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja")


@pytest.mark.parametrize("fetch", [alone, cut_short])
@pytest.mark.parametrize("kept", [("config.json",), (*SMALL, INDEX), (*SMALL, INDEX, SHARDS[0]), (INDEX, *SHARDS)])
def test_a_base_that_is_here_in_part_is_made_whole(hub: Hub, sharded: Path, fetch: Callable[..., None], kept: tuple[str, ...]) -> None:
    fetch(*kept)
    hub.asked.clear()
    told: list[str] = []
    base = load(NAME, torch.float32, told.append)
    assert base.content_hash == folder_hash(sharded)
    assert told == [f"fetching {NAME}", "loading the base"]
    assert set(hub.asked).isdisjoint({*SHARDS} & set(kept))  # what is here is not fetched again


def test_a_base_that_is_here_as_a_whole_is_not_asked_for(hub: Hub, away: Offline) -> None:
    wanted = load(NAME, torch.float32).content_hash
    away()
    told: list[str] = []
    assert load(NAME, torch.float32, told.append).content_hash == wanted
    assert told == ["loading the base"]


def test_planning_a_base_does_not_stand_in_the_way_of_loading_it(hub: Hub) -> None:
    assert model(NAME).stored is None
    assert opening.open_base(NAME, purpose="adapt").name == NAME
    assert model(NAME).stored is not None


def test_a_plan_reads_no_weight_files_of_a_download_that_was_cut_short(hub: Hub) -> None:
    cut_short(*SMALL, INDEX, SHARDS[0])
    assert model(NAME).stored is None
    assert model(NAME).differs == ""


@pytest.mark.parametrize("fetch", [alone, cut_short])
@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (("config.json",), "without a tokenizer, model.safetensors,"),
        ((*SMALL, INDEX, SHARDS[0]), f"without {SHARDS[1]},"),
        ((INDEX, *SHARDS), "without config.json, a tokenizer,"),
    ],
)
def test_a_part_without_a_network_is_told_from_the_whole(
    hub: Hub, away: Offline, fetch: Callable[..., None], kept: tuple[str, ...], said: str
) -> None:
    fetch(*kept)
    away()
    with pytest.raises(BaseRefused, match="ask again with a network") as refusal:
        load(NAME)
    assert said in str(refusal.value)


def test_nothing_here_and_no_network_is_said_so(hub: Hub, away: Offline) -> None:
    away()
    begun = monotonic()
    for look in (load, model):
        with pytest.raises(BaseRefused, match=r"on this machine,? and the hub cannot be reached"):
            look(NAME)
    # Tries again would wait.
    assert monotonic() - begun < 10


def test_a_repository_without_a_config_is_said_to_be_one(hub: Hub) -> None:
    hub.put("owner/packed", {"it.gguf": b"GGUF"})
    with pytest.raises(BaseRefused, match=r"^'owner/packed' has no config\.json, so nothing tells of a model's shape"):
        model("owner/packed")


def test_what_is_pickled_on_the_hub_too_is_no_matter_of_the_network(hub: Hub, base_folder: Path) -> None:
    files = {file.name: file.read_bytes() for file in base_folder.iterdir()}
    hub.put("owner/old", {"pytorch_model.bin": files.pop("model.safetensors"), **files})
    with pytest.raises(BaseRefused, match=r"has no \.safetensors weights"):
        load("owner/old")


def test_what_there_is_not_and_what_is_gated_is_said_so(hub: Hub) -> None:
    with pytest.raises(BaseRefused, match="There is no model 'owner/none' on the hub"):
        load("owner/none")
    hub.put("owner/gated", {"config.json": b"{}"}, gated=True)
    with pytest.raises(BaseRefused, match="'owner/gated' is gated"):
        load("owner/gated")
    with pytest.raises(BaseRefused, match="'owner--odd' is no name of a repository: Cannot have --"):
        load("owner--odd")
    for name, why in (("owner/none", "There is no model"), ("owner/gated", "is gated"), ("owner--odd", "Cannot have --")):
        with pytest.raises(BaseRefused, match=why):
            model(name)


@pytest.mark.parametrize("index", ["{", "[]", '{"weight_map": 3}', "{}"])
def test_an_index_that_is_none_is_lacking(sharded: Path, tmp_path: Path, index: str) -> None:
    for file in sharded.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert lacking(tmp_path) == []
    (tmp_path / INDEX).write_text(index)
    assert lacking(tmp_path) == [INDEX]


def test_no_code_and_no_pickle_is_fetched(hub: Hub, sharded: Path, tmp_path: Path) -> None:
    files = {file.name: file.read_bytes() for file in sharded.iterdir()}
    others = ("tokenizer.py", "tokenizer_evil.py", "vocab.py", "modeling_evil.py", "tokenizer.pkl", "vocab.so", "pytorch_model.bin")
    hub.put("owner/evil", files | dict.fromkeys(others, b"raise"))
    load("owner/evil")
    assert {path.name for path in (tmp_path / "cache").rglob("snapshots/*/*")} == set(files)
