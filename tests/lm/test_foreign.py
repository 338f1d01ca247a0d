"""A base from elsewhere may bring Python code; it is neither run nor asked about, whatever standard input says."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from headstart.errors import BaseRefused
from headstart.lm import gguf, load
from headstart.lm.tiny import tiny_base

pytestmark = pytest.mark.usefixtures("home")
CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
Path(r"{mark}").touch()
class C(LlamaConfig):
    model_type = "evil"
class M(LlamaForCausalLM):
    config_class = C
class T(PreTrainedTokenizerFast):
    pass
"""
MAPS = {
    "config.json": {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}},
    "tokenizer_config.json": {"tokenizer_class": "T", "auto_map": {"AutoTokenizer": ["evil.T", None]}},
}


@pytest.mark.parametrize("file", MAPS)
def test_code_that_a_base_brings_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    mark, base = tmp_path / "mark", tiny_base(tmp_path / "base")
    (base / "evil.py").write_text(CODE.format(mark=mark))
    (base / file).write_text(json.dumps(json.loads((base / file).read_text()) | MAPS[file]))
    monkeypatch.setattr(builtins, "input", lambda *_: "y")
    with pytest.raises(BaseRefused, match="could not be loaded: it needs Python code of its own") as refused:
        load.load(str(base))
    assert not mark.exists()
    assert "trust_remote_code" not in str(refused.value)


@pytest.mark.parametrize("kind", ["AutoModelForCausalLM", "AutoTokenizer"])
def test_nor_is_what_lies_beside_a_gguf_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    def loaded(*_: Any, **__: Any) -> Any:
        return None, {"missing_keys": []}

    def refusing(*_: Any, **settings: Any) -> None:
        assert settings["trust_remote_code"] is False
        raise ValueError("a repository with code.\nPlease pass the argument `trust_remote_code=True`")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", loaded)
    monkeypatch.setattr(getattr(transformers, kind), "from_pretrained", refusing)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(BaseRefused, match="could not be read as a model: it needs Python code of its own"):
        gguf.unpacked(tmp_path / "model.gguf", "0" * 64, lambda _: None)


def test_a_package_that_a_base_lacks_is_named(base_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(*_: object, **__: object) -> None:
        raise ImportError("FlashAttention2 has been toggled on, but it cannot be used")

    monkeypatch.setattr(load.AutoModelForCausalLM, "from_pretrained", lacks)
    with pytest.raises(BaseRefused, match="needs a package that is not here, or is broken: FlashAttention2"):
        load.load(str(base_folder))
