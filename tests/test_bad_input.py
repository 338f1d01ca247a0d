"""What users get wrong: one clear message on standard error, exit code 1, and a shelf that is as it was."""

from __future__ import annotations

import errno
import json
import os
import pickle
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from headstart.adapters import peft
from headstart.adapters.store import Shelf
from headstart.commands import adapt
from headstart.lm.tiny import tiny_base
from headstart.teach import Recipe
from tests.conftest import COLOURS, Told, write_jsonl

Run = Callable[..., Told]
GOOD = json.dumps(COLOURS[0])


@pytest.fixture(scope="module")
def shelf(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shelf with one adapter for the tiny base. Not to be written to."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_HOME", str(home))
        adapt.run(
            write_jsonl(home / "e.jsonl", COLOURS), "hues", False, str(base_folder), None, "none", Recipe(steps=1, folds=0), as_json=True
        )
    return home / "adapters"


@pytest.fixture
def refused(headstart: Run, shelf: Path, home: Path) -> Callable[..., str]:
    """Runs a command that has to be refused; gives the message."""
    shutil.copytree(shelf, home / "adapters")

    def listing() -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in (home / "adapters").rglob("*") if p.is_file()}

    def run(*words: object) -> str:
        before = listing()
        told = headstart(*words)
        assert (told.code, told.out) == (1, ""), told
        assert told.err.startswith("error: ")
        assert told.err.count("error: ") == 1
        assert "Traceback" not in told.err
        assert listing() == before
        return told.err.removeprefix("error: ").strip()

    return run


def foreign(home: Path, name: str, site: str, width: int, **settings: Any) -> None:
    """An adapter that another tool wrote."""
    folder = home / "adapters" / name
    folder.mkdir()
    tensors = {"A": torch.ones(2, width), "B": torch.ones(width, 2)}
    save_file({f"base_model.model.{site}.lora_{half}.weight": w for half, w in tensors.items()}, folder / peft.WEIGHTS)
    (folder / peft.CONFIG).write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 2} | settings))


EXAMPLES = {
    "empty": ("e.jsonl", "", "is empty"),
    "one only": ("e.jsonl", GOOD, "has 1 example; at least "),
    "bad rows": ("e.jsonl", f"{GOOD}\nnope\n{{}}\n", "2 of 3 rows"),
    "bad csv": ("e.csv", "prompt,completion\na,b\nc\n", "line 3: the header names 2 columns"),
    "not text": ("e.jsonl", "\x93", "not UTF-8"),
    "unknown ending": ("e.txt", GOOD, "examples files are .jsonl, .json, .csv or .tsv"),
    "half a letter": ("e.jsonl", f'{GOOD}\n{{"prompt": "\\ud800", "completion": "x"}}', "surrogate"),
}


@pytest.mark.parametrize("case", EXAMPLES)
@pytest.mark.parametrize("words", [("adapt", "--name", "new"), ("eval", "--shots", 3)], ids=["adapt", "eval"])
def test_examples_that_cannot_be_used(
    refused: Callable[..., str], base_folder: Path, tmp_path: Path, case: str, words: tuple[object, ...]
) -> None:
    name, text, reason = EXAMPLES[case]
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    assert reason in refused(*words, tmp_path / name, "--base", base_folder)


@pytest.mark.parametrize("words", [("adapt", "--name", "new"), ("eval",), ("eval", "--shots", 2)], ids=["adapt", "eval", "shots"])
def test_an_example_longer_than_the_context(
    refused: Callable[..., str], base_folder: Path, tmp_path: Path, words: tuple[object, ...]
) -> None:
    rows = [{"prompt": word * 150, "completion": "x"} for word in ("long ", "more ", "most ")]
    assert "context of 512" in refused(*words, write_jsonl(tmp_path / "e.jsonl", rows), "--base", base_folder)


def test_all_bad_rows_are_told_together(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text(f'{GOOD}\nnope\n\n{GOOD}\n{{"prompt": 1, "completion": "x"}}\n')
    told = refused("adapt", tmp_path / "e.jsonl", "--name", "new")
    assert [line.split(":")[0].strip() for line in told.splitlines()[1:]] == ["line 2", "line 5"]


def test_a_file_that_is_not_there(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "There is no file" in refused("adapt", tmp_path / "e.jsonl", "--name", "new")


def test_a_name_that_is_taken(refused: Callable[..., str], colours: Path) -> None:
    assert "--replace" in refused("adapt", colours, "--name", "hues")


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "/tmp/x", "a\\b", "a b", "\x1b[31m", "x" * 65])
def test_a_name_that_is_none(refused: Callable[..., str], colours: Path, base_folder: Path, home: Path, name: str) -> None:
    for words in (
        ("adapt", colours, "--name", name),
        ("adapters", "remove", name),
        ("adapters", "show", name),
        ("ask", "x", "--adapter", name),
    ):
        assert "is no adapter name" in refused(*words)
    if name:
        assert "is no adapter name" in refused("adapt", colours, "--name", "new", "--start", name, "--base", base_folder)
    assert sorted(p.name for p in home.iterdir()) in (["adapters"], ["adapters", "hashes.json"])


def test_an_adapter_that_is_not_there(refused: Callable[..., str], colours: Path, base_folder: Path) -> None:
    for words in (
        ("ask", "x", "--adapter", "hue"),
        ("eval", colours, "--adapter", "hue"),
        ("adapters", "show", "hue"),
        ("adapters", "remove", "hue"),
    ):
        assert "There is no adapter 'hue'. Nearest: hues." in refused(*words)
    assert "Nearest: hues." in refused("adapt", colours, "--name", "new", "--start", "hue", "--base", base_folder)


@pytest.mark.parametrize("prompt", ["", " \n", "\udcff"])
def test_a_prompt_that_is_none(refused: Callable[..., str], prompt: str) -> None:
    assert "The prompt is" in refused("ask", prompt)


def test_a_prompt_longer_than_the_context(refused: Callable[..., str], base_folder: Path) -> None:
    for words in ((), ("--adapter", "hues")):
        assert "fills the model's context of 512" in refused("ask", "x" * 600, "--base", base_folder, *words)


def test_two_ways_of_scoring_at_once(refused: Callable[..., str], colours: Path) -> None:
    assert "one of the two" in refused("eval", colours, "--adapter", "hues", "--shots", 2)


def cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))


def without(pattern: str) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        for path in folder.glob(pattern):
            path.unlink()

    return harm


def widened(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 64}))


BASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no tokenizer": (without("tokenizer*"), "no tokenizer"),
    "no config": (without("config.json"), "no config.json"),
    "no weights": (without("*.safetensors"), "no .safetensors weights"),
    "pickled weights": (pickled, "could run code"),
    "truncated weights": (cut("model.safetensors", 5000), "truncated"),
    "empty weights": (cut("model.safetensors", 0), "truncated"),
    "weights of another shape": (widened, "could not be loaded"),
    "truncated config": (cut("config.json", 40), "could not be loaded"),
    "truncated tokenizer": (cut("tokenizer.json", 400), "could not be loaded"),
    "unknown family": (lambda folder: (folder / "config.json").write_text('{"model_type": "unheard-of"}'), "unheard-of"),
    "broken template": (lambda folder: (folder / "chat_template.jinja").write_text("{% if %}"), "chat template"),
}


@pytest.mark.parametrize("case", BASES)
def test_a_base_that_cannot_be_loaded(refused: Callable[..., str], base_folder: Path, colours: Path, tmp_path: Path, case: str) -> None:
    harm, reason = BASES[case]
    broken = tmp_path / "broken"
    shutil.copytree(base_folder, broken)
    harm(broken)
    assert reason in refused("adapt", colours, "--name", "new", "--base", broken)


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ("/no/such/folder", "There is no base at"),
        ("./missing.gguf", "There is no base at"),
        ("what is this?", "neither a folder"),
        ("nobody/nothing", "'nobody/nothing' is not on this machine"),
    ],
)
def test_a_base_that_is_not_there(
    refused: Callable[..., str], colours: Path, monkeypatch: pytest.MonkeyPatch, base: str, reason: str
) -> None:
    # The hub's library read the environment when it was imported: tell it directly that there is no network.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert reason in refused("adapt", colours, "--name", "new", "--base", base)


def test_a_gguf_that_is_none(refused: Callable[..., str], colours: Path, tmp_path: Path) -> None:
    (tmp_path / "base.gguf").write_bytes(b"not at all")
    assert "is not a GGUF file" in refused("adapt", colours, "--name", "new", "--base", tmp_path / "base.gguf")


def test_an_adapter_for_another_base(refused: Callable[..., str], colours: Path, tmp_path: Path) -> None:
    other = tiny_base(tmp_path / "other", seed=1)
    for words in (
        ("ask", "x", "--adapter", "hues"),
        ("eval", colours, "--adapter", "hues"),
        ("adapt", colours, "--name", "new", "--start", "hues"),
    ):
        told = refused(*words, "--base", other)
        assert "the base's weights" in told
        assert "tokenizer" not in told


@pytest.mark.parametrize(
    ("site", "reason"), [("model.layers.0.self_attn.q_proj", "is (64, 64), the base's is (32, 32)"), ("h.0.attn.c_attn", "another model")]
)
def test_a_foreign_adapter_for_another_model(
    refused: Callable[..., str], colours: Path, base_folder: Path, home: Path, site: str, reason: str
) -> None:
    foreign(home, "big", site, 64)
    for words in (("ask", "x", "--adapter", "big"), ("adapt", colours, "--name", "new", "--start", "big")):
        assert reason in refused(*words, "--base", base_folder)


def test_an_adapter_that_is_no_plain_lora(refused: Callable[..., str], base_folder: Path, home: Path) -> None:
    foreign(home, "odd", "model.layers.0.self_attn.q_proj", 32, use_dora=True, bias="all")
    told = refused("ask", "x", "--adapter", "odd", "--base", base_folder)
    assert "use_dora=True; bias='all'" in told


@pytest.mark.parametrize(("file", "size"), [(peft.WEIGHTS, 100), (peft.CONFIG, 5), ("headstart.json", 5)])
def test_an_adapter_that_is_broken(refused: Callable[..., str], base_folder: Path, home: Path, file: str, size: int) -> None:
    cut(file, size)(home / "adapters" / "hues")
    assert "hues" in refused("ask", "x", "--adapter", "hues", "--base", base_folder)


@pytest.mark.parametrize("words", [("--name", "new"), ("--name", "hues", "--replace")])
def test_a_full_disk(
    refused: Callable[..., str], colours: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch, home: Path, words: tuple[str, ...]
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    told = refused("adapt", colours, "--base", base_folder, "--steps", 1, *words)
    assert told.startswith("The disk is full")
    assert [p.name for p in (home / "adapters").iterdir()] == ["hues"]


@pytest.mark.parametrize("words", [("--name", "new"), ("--name", "hues", "--replace")])
def test_a_write_that_the_system_cuts_short(
    refused: Callable[..., str], colours: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch, home: Path, words: tuple[str, ...]
) -> None:
    def short(*given: Any, **named: Any) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
        try:
            save_file(*given, **named)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    monkeypatch.setattr(peft, "save_file", short)
    assert "could not be written (File too large)" in refused("adapt", colours, "--base", base_folder, "--steps", 1, *words)
    assert [p.name for p in (home / "adapters").iterdir()] == ["hues"]


def test_a_home_that_is_no_folder(refused: Callable[..., str], colours: Path, base_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(colours))
    assert "could not be written" in refused("adapt", colours, "--name", "new", "--base", base_folder, "--steps", 1)


def test_training_that_diverges(refused: Callable[..., str], colours: Path, base_folder: Path, home: Path) -> None:
    foreign(home, "wild", "model.layers.0.self_attn.q_proj", 32)
    weights, _ = peft.read(Shelf().known("wild"))
    save_file(
        {f"base_model.model.{name}.weight": torch.full_like(w, float("nan")) for name, w in weights.items()},
        home / "adapters" / "wild" / peft.WEIGHTS,
    )
    assert "no longer a number" in refused("adapt", colours, "--name", "new", "--start", "wild", "--base", base_folder, "--steps", 1)
