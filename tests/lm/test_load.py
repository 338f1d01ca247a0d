import errno
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
import torch
from gguf import GGUFWriter
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, OfflineModeIsEnabled, RepositoryNotFoundError
from safetensors.torch import load_file, save_file

from headstart.errors import BaseRefused, StorageError
from headstart.lm import gguf, load
from headstart.lm.batch import Batch, Encoded
from headstart.lm.graft import Grafted
from headstart.lm.tiny import tiny_base, tiny_model, tiny_tokenizer

pytestmark = pytest.mark.usefixtures("home")
WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A base that a test may break."""
    return tiny_base(tmp_path / "base")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., str]], list[bool]]:
    """Puts a function in the place of the hub, and tells whether each call was for kept files alone."""

    def replace(answer: Callable[..., str]) -> list[bool]:
        calls: list[bool] = []

        def download(name: str, local_files_only: bool = False, **_: object) -> str:
            calls.append(local_files_only)
            return answer(name, local_files_only)

        monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
        monkeypatch.setattr(huggingface_hub, "scan_cache_dir", no_cache)
        return calls

    return replace


def no_cache() -> None:
    raise huggingface_hub.errors.CacheNotFound("nothing kept", cache_dir="nowhere")


def failing(error: Exception) -> Callable[..., str]:
    def answer(name: str, kept_only: bool) -> str:
        raise LocalEntryNotFoundError("not kept") if kept_only else error

    return answer


# What the hub's errors read of a response, whichever HTTP library it comes from.
RESPONSE = SimpleNamespace(headers={}, request=None)


def refusal(base: str | Path) -> str:
    with pytest.raises(BaseRefused) as caught:
        load.load(str(base))
    return str(caught.value)


def test_a_folder_loads_with_model_tokenizer_and_hash(folder: Path) -> None:
    told: list[str] = []
    base = load.load(str(folder), torch.float32, told.append)
    tokens = torch.arange(2, 12)[None]
    assert torch.equal(base.model(tokens).logits, tiny_model("llama")(tokens).logits)
    assert base.name == str(folder.resolve())
    assert base.content_hash == load.folder_hash(folder)
    assert base.chat.context == 512
    assert told == ["loading the base"]


def test_the_dtype_is_what_was_asked_for_or_the_machine_s_own(folder: Path) -> None:
    assert load.load(str(folder), torch.bfloat16).model.dtype == torch.bfloat16
    assert load.load(str(folder)).model.dtype == load.native_dtype("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("named", [1, [0, 1, 7]])
def test_the_model_s_own_ends_stop_an_answer_too(folder: Path, named: int | list[int]) -> None:
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": named}))
    # The last one is no mark but a letter.
    assert load.load(str(folder)).chat.stops == (0, 1)


def test_a_loaded_base_can_be_bent(folder: Path) -> None:
    net = Grafted(load.load(str(folder), torch.float32).model)
    batch = Batch.of([Encoded((5, 6), (7,))])
    assert net({}, torch.tensor([0]), batch).shape == (1, 258)


def test_a_relative_folder_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert load.load("base").name == load.load("./base").name == str(folder.resolve())


def test_one_changed_byte_of_the_weights_changes_the_hash(folder: Path) -> None:
    before = load.load(str(folder)).content_hash
    assert load.load(str(folder)).content_hash == before
    weights = bytearray((folder / WEIGHTS).read_bytes())
    weights[-1] ^= 1
    (folder / WEIGHTS).write_bytes(weights)
    assert load.load(str(folder)).content_hash != before


def test_the_hash_is_that_of_the_weights_alone(folder: Path, tmp_path: Path) -> None:
    other = tiny_base(tmp_path / "other")
    (other / "notes.txt").write_text("a note")
    assert load.folder_hash(other) == load.folder_hash(folder)
    assert load.folder_hash(tiny_base(tmp_path / "third", seed=1)) != load.folder_hash(folder)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    assert "has no config.json" in refusal(tmp_path)


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    assert "has no .safetensors weights (none)" in refusal(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.pth"])
def test_pickled_weights_are_refused_and_never_read(folder: Path, name: str) -> None:
    (folder / WEIGHTS).rename(folder / name)
    text = refusal(folder)
    assert name in text
    assert "could run code" in text
    assert "save_pretrained" in text


def test_a_folder_without_a_tokenizer_is_refused(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert "no tokenizer" in refusal(folder)


@pytest.mark.parametrize("left", [0, 5, 1000, -1])
def test_truncated_weights_are_refused(folder: Path, left: int) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:left])
    assert "may be truncated; fetch it again" in refusal(folder)


def test_weights_that_lack_a_tensor_are_refused_and_not_drawn_at_random(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({name: w for name, w in weights.items() if "layers.1.mlp.up_proj" not in name}, folder / WEIGHTS, {"format": "pt"})
    assert "lack model.layers.1.mlp.up_proj.weight (1 in all)" in refusal(folder)


def test_weights_of_another_shape_than_the_config_says_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 96}))
    assert "could not be loaded" in refusal(folder)


def test_a_missing_shard_is_refused_by_name(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "model-00001-of-00002.safetensors")
    shards = {name: "model-00001-of-00002.safetensors" for name in tiny_model("llama").state_dict()}
    shards["lm_head.weight"] = "model-00002-of-00002.safetensors"
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    assert "model-00002-of-00002.safetensors" in refusal(folder)


@pytest.mark.parametrize("text", ["{", "[" * 100_000])
def test_a_config_that_is_no_json_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    assert "could not be loaded" in refusal(folder)


@pytest.mark.parametrize("kind", ["no-such-architecture", "vit"])
def test_a_model_that_is_no_causal_language_model_is_refused(folder: Path, kind: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": kind, "architectures": []}))
    assert "could not be loaded" in refusal(folder)


def test_a_tokenizer_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")
    assert "could not be loaded" in refusal(folder)


def test_a_tokenizer_without_an_end_of_text_is_refused(folder: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)
    assert "end-of-text" in refusal(folder)


def test_a_base_that_cannot_be_kept_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "model.gguf" / "home"))
    with pytest.raises(StorageError, match="Point HEADSTART_HOME to a folder that can be written"):
        gguf.unpacked(tmp_path / "model.gguf", "0" * 64, lambda _: None)


def test_a_gguf_file_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"not a model at all")
    assert "is not a GGUF file, whatever its name says" in refusal(file)


@pytest.mark.parametrize("rest", [b"", b"\x03\x00\x00\x00", b"\x03\x00\x00\x00" + b"\xff" * 64])
def test_a_broken_gguf_file_is_refused(tmp_path: Path, rest: bytes) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" + rest)
    assert "could not be read as a model" in refusal(file)


@pytest.mark.parametrize(("vocabulary", "text"), [(20, "it lacks"), (21, "could not be read as a model")])
def test_a_gguf_file_without_its_layers_or_of_another_shape_is_refused_and_nothing_is_kept(
    tmp_path: Path, home: Path, vocabulary: int, text: str
) -> None:
    writer = GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_vocab_size(vocabulary)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(48)
    writer.add_head_count(4)
    writer.add_tensor("token_embd.weight", np.zeros((20, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert text in refusal(tmp_path / "model.gguf")
    assert not list(home.glob("bases/*"))


def test_a_file_that_is_no_base_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "it.jsonl").write_text("")
    assert "is a file, not a base" in refusal(tmp_path / "it.jsonl")


@pytest.mark.parametrize("name", ["/no/such/folder", "./nowhere", "~/nowhere-at-all", "missing.gguf"])
def test_a_path_that_leads_nowhere_is_refused_without_asking_the_hub(name: str, hub: Callable[..., list[bool]]) -> None:
    calls = hub(failing(AssertionError("asked")))
    assert f"There is no base at '{name}'" in refusal(name)
    assert calls == []


@pytest.mark.parametrize("name", ["a/b/c", "no good", "https://hub.invalid/a/b"])
def test_a_name_that_can_be_nothing_is_refused_without_asking_the_hub(name: str, hub: Callable[..., list[bool]]) -> None:
    calls = hub(failing(AssertionError("asked")))
    assert "neither a folder, a .gguf file nor a Hugging Face id" in refusal(name)
    assert calls == []


@pytest.mark.parametrize(
    "error", [OfflineModeIsEnabled("offline"), LocalEntryNotFoundError("no network"), OSError("no route"), Exception("of an HTTP library")]
)
def test_an_unknown_id_without_a_network_is_refused_with_the_nearest(error: Exception, hub: Callable[..., list[bool]]) -> None:
    calls = hub(failing(error))
    text = refusal("HuggingFaceTB/SmolLM-135M-Instruct")
    assert "not on this machine and the hub cannot be reached" in text
    assert f"Nearest: {load.EMBEDDED}" in text
    assert calls == [True, False, True]


def test_a_disk_that_refuses_is_not_taken_for_the_network(hub: Callable[..., list[bool]]) -> None:
    hub(failing(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(StorageError, match="'owner/large' could not be kept on this machine: No space left on device"):
        load.load("owner/large")


def test_an_id_that_the_hub_does_not_know_is_refused(hub: Callable[..., list[bool]]) -> None:
    hub(failing(RepositoryNotFoundError("no", response=RESPONSE)))
    assert "There is no model 'nobody/nothing' on the hub" in refusal("nobody/nothing")


def test_a_gated_model_is_refused_with_the_way_in(hub: Callable[..., list[bool]]) -> None:
    hub(failing(GatedRepoError("no", response=RESPONSE)))
    assert "hf auth login" in refusal("meta-llama/Llama-2-7b-hf")


def test_a_kept_model_needs_no_network(folder: Path, hub: Callable[..., list[bool]]) -> None:
    calls = hub(lambda name, kept_only: str(folder))
    base = load.load("owner/tiny", torch.float32)
    assert base.name == "owner/tiny"
    assert base.content_hash == load.folder_hash(folder)
    assert calls == [True]


def test_a_model_that_is_not_kept_is_fetched_and_said_so(folder: Path, hub: Callable[..., list[bool]]) -> None:
    def answer(name: str, kept_only: bool) -> str:
        if kept_only:
            raise LocalEntryNotFoundError("not kept")
        return str(folder)

    told: list[str] = []
    hub(answer)
    load.load("owner/tiny", torch.float32, told.append)
    assert told == ["fetching owner/tiny", "loading the base"]
