import json
import struct
import subprocess
import sys
from pathlib import Path

import gguf
import pytest

from headstart.errors import BaseRefused, SettingsError
from headstart.lm.gguf import embedded_file
from headstart.lm.tiny import tiny_base
from headstart.plan.cards import amount, card, cards, parsed
from headstart.plan.source import model


def test_a_folder_s_headers_agree_with_its_config(tmp_path: Path) -> None:
    found = model(str(tiny_base(tmp_path, "llama")))
    assert found.stored == found.shape.parameters
    assert found.differs == ""


def test_files_that_are_another_model_s_are_said(tmp_path: Path) -> None:
    tiny_base(tmp_path, "llama")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    assert "numbers, its config says" in model(str(tmp_path)).differs


def test_files_beside_the_weights_are_not_counted(tmp_path: Path) -> None:
    tiny_base(tmp_path, "llama")
    (tmp_path / "consolidated.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes())
    found = model(str(tmp_path))
    (tmp_path / "model.safetensors").rename(tmp_path / "model-1-of-1.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model-1-of-1.safetensors"}}))
    assert found.differs == model(str(tmp_path)).differs == ""
    assert found.stored == model(str(tmp_path)).stored is not None


@pytest.mark.parametrize("broken", [b"", struct.pack("<Q", 1 << 40), struct.pack("<Q", 4) + b"nope"])
def test_weights_without_a_header_are_refused(tmp_path: Path, broken: bytes) -> None:
    tiny_base(tmp_path, "llama")
    (tmp_path / "model.safetensors").write_bytes(broken)
    with pytest.raises(BaseRefused, match="no safetensors header"):
        model(str(tmp_path))


@pytest.mark.skipif(embedded_file() is None, reason="the embedded base is not installed")
def test_a_gguf_s_header_is_the_embedded_base() -> None:
    found = model(str(embedded_file()))
    assert found.shape.parameters == model(None).shape.parameters == 134_515_008
    assert found.stored == found.shape.parameters


def test_a_cut_gguf_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "it.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 5, 7) + b"\0" * 11)
    with pytest.raises(BaseRefused, match="cannot be read"):
        model(str(file))


def test_lists_of_lists_without_an_end_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "it.gguf"
    nested = struct.pack("<Q", 1) + b"a" + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 3000
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + nested)
    with pytest.raises(BaseRefused, match="cannot be read"):
        model(str(file))


def test_json_nested_without_an_end_is_refused(tmp_path: Path) -> None:
    tiny_base(tmp_path, "llama")
    (tmp_path / "model.safetensors.index.json").write_text("[" * 100_000)
    with pytest.raises(BaseRefused, match="names no weights"):
        model(str(tmp_path))
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(BaseRefused, match="cannot be read as a config"):
        model(str(tmp_path))


def test_an_adapter_s_gguf_is_no_base(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(str(tmp_path / "it.gguf"), "llama")
    writer.add_type("adapter")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(BaseRefused, match=r"it\.gguf' is an adapter, not a base"):
        model(str(tmp_path / "it.gguf"))


def test_a_folder_without_a_config_is_named_with_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(BaseRefused, match=f"^'{tmp_path}' has no config.json, .*: give a folder with a config.json, a .gguf"):
        model(str(tmp_path))
    with pytest.raises(BaseRefused, match=r"^There is no '.*it\.json', "):
        model(str(tmp_path / "it.json"))


@pytest.mark.parametrize(
    ("text", "said"), [("{", "cannot be read as a config"), ("[]", "is no config"), ('{"model_type": "t5"}', "family 't5'")]
)
def test_a_config_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(BaseRefused, match=said):
        model(str(tmp_path))


def test_an_unknown_name_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BaseRefused, match="Nearest: meta-llama/Llama-2-7b-hf"):
        model("meta-lama/Llama-2-7b-hff")


def test_names_are_found_without_their_owner_and_case() -> None:
    assert model("llama-2-7B-HF").shape == model("meta-llama/Llama-2-7b-hf").shape


def test_cards_by_name() -> None:
    assert card("4090") == card("NVIDIA GeForce RTX 4090") == card("RTX 4090")
    assert card("RTX 4090").memory == 24 * 2**30
    assert not card("M1 16GB").gpu
    assert all(card(name).memory > 2**32 for name in cards())
    with pytest.raises(SettingsError, match="Nearest: RTX 4090"):
        card("RTX 4900")


@pytest.mark.parametrize(("text", "size"), [("24GB", 24 * 10**9), ("8 GiB", 8 * 2**30), ("1.5g", 1_500_000_000), ("512mb", 512 * 10**6)])
def test_amounts(text: str, size: int) -> None:
    assert parsed(text) == amount(text).memory == size


@pytest.mark.parametrize("text", ["", "GB", "-3GB", "0", "24", "3 apples"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="no amount of memory"):
        parsed(text)


def test_a_plan_needs_no_torch() -> None:
    code = "import sys, headstart.commands.plan; print(sorted({'torch', 'transformers', 'huggingface_hub', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
