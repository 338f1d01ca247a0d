"""What other tools and tired fingers leave: told in a sentence, and the rest of the shelf is as usable as ever."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from headstart.adapters import facts, peft, trash
from headstart.adapters.store import Shelf
from headstart.commands import adapt, worth
from headstart.errors import StorageError
from headstart.lm import tiny
from tests.conftest import Told

Run = Callable[..., Told]
SITE = "base_model.model.model.layers.0.self_attn.q_proj"
LLAMA = {"model_type": "llama", "vocab_size": 258, **tiny.FAMILIES["llama"]}


def foreign(home: Path, name: str, **config: Any) -> Path:
    """An adapter as another tool may have left it on the shelf."""
    folder = home / "adapters" / name
    folder.mkdir(parents=True)
    save_file({f"{SITE}.lora_A.weight": torch.ones(2, 32), f"{SITE}.lora_B.weight": torch.ones(32, 2)}, folder / peft.WEIGHTS)
    (folder / peft.CONFIG).write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 2} | config))
    return folder


def test_one_adapter_without_a_base_s_name_does_not_hide_the_others(headstart: Run, home: Path) -> None:
    foreign(home, "odd", base_model_name_or_path=123)
    foreign(home, "sound", base_model_name_or_path="some/base")
    told = headstart("adapters", "list")
    assert told.code == 0
    assert all(word in told.out for word in ("broken: `headstart adapters show odd`", "some/base"))
    told = headstart("adapters", "show", "odd")
    assert (told.code, "names no base: 123" in told.err) == (1, True)


def test_ranks_by_pattern_alone_are_read(headstart: Run, home: Path) -> None:
    folder = foreign(home, "patterned", rank_pattern={"q_proj": 2})
    config = json.loads((folder / peft.CONFIG).read_text())
    config.pop("r")
    (folder / peft.CONFIG).write_text(json.dumps(config))
    assert set(peft.read(folder)[0]) == {f"{SITE.removeprefix('base_model.model.')}.lora_{side}" for side in "AB"}
    config.pop("lora_alpha")
    (folder / peft.CONFIG).write_text(json.dumps(config))
    assert headstart("adapters", "list").code == 0


def test_a_card_that_is_no_text_is_shown_as_far_as_it_is(headstart: Run, home: Path) -> None:
    (foreign(home, "mine") / "README.md").write_bytes(b"# gr\xf6\xdfe")
    told = headstart("adapters", "show", "mine")
    assert (told.code, "# gr" in told.out) == (0, True)


@pytest.mark.parametrize(
    "odd",
    [{"hidden_size": "big"}, {"num_attention_heads": 0}, {"intermediate_size": 0}, {"max_position_embeddings": -1}, {"vocab_size": [3]}],
    ids=str,
)
def test_a_config_with_sizes_that_are_none_is_no_config(headstart: Run, tmp_path: Path, odd: dict[str, Any]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | odd))
    told = headstart("plan", tmp_path, "--memory", "8GB", "--context", 256)
    assert (told.code, "has a size" in told.err or "nothing usable" in told.err) == (1, True)


@pytest.mark.parametrize(
    "header", [[], {"w": 3}, {"w": {"shape": [2]}}, {"w": {"shape": [2], "data_offsets": [0], "dtype": "F16"}}], ids=str
)
def test_weights_whose_header_is_none_are_told(headstart: Run, tmp_path: Path, header: Any) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    told = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(len(told).to_bytes(8, "little") + told)
    found = headstart("plan", tmp_path, "--memory", "8GB", "--context", 256)
    assert (found.code, "has no safetensors header" in found.err) == (1, True)


def test_a_path_with_brackets_is_printed_as_it_is(headstart: Run, tmp_path: Path) -> None:
    folder = tmp_path / "[/llm]"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(LLAMA))
    told = headstart("plan", folder, "--memory", "8GB", "--context", 256)
    assert (told.code, str(folder) in told.out) == (0, True)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("adapt", "e.jsonl", "--name", "x", "--layers", "0-9999999999"), 2),
        (("adapt", "e.jsonl", "--name", "x", "--layers", "9" * 5000), 2),
        (("adapt", "e.jsonl", "--name", "x", "--layers", "7-3"), 2),
        (("plan", "--memory", "8GB", "--examples", "2000000000", "--no-prefix"), 2),
        (("plan", "--memory", "9" * 400), 1),
        (("eval", "e.jsonl", "--learner", "prototypes", "--worth"), 2),
        (("eval", "e.jsonl", "--learner", "prototypes", "--plot", "a.png"), 2),
    ],
    ids=lambda it: str(it)[:60],
)
def test_amounts_beyond_reason_and_options_of_no_use_are_refused(headstart: Run, words: tuple[str, ...], code: int) -> None:
    told = headstart(*words)
    assert (told.code, told.err.count("Traceback")) == (code, 0)


def test_a_folder_that_cannot_keep_what_is_measured_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").write_text("no folder")
    with pytest.raises(StorageError, match=r"runs/worth\.jsonl' could not be written"):
        worth._add(tmp_path / "runs" / "worth.jsonl", "")

    class Full:
        def __getattr__(self, name: str) -> Any:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError, match="No space left"):
        worth._draw(type("Figure", (), {"subplots": lambda _: Axes(), "savefig": lambda *_, **__: Full().it})(), [], 3, tmp_path / "a.png")


class Axes:
    """Draws nothing."""

    def set(self, **_: Any) -> None: ...

    def legend(self) -> None: ...


def test_a_base_s_name_that_a_record_takes_is_taken_by_its_config(headstart: Run, home: Path) -> None:
    foreign(home, "odd", base_model_name_or_path="a\u00a0base")
    assert headstart("adapters", "show", "odd").code == 0
    foreign(home, "rude", base_model_name_or_path="a\u001bbase")
    assert "names no base" in headstart("adapters", "show", "rude").err


def test_bytes_that_are_no_text_are_no_prompt() -> None:
    words = [sys.executable, "-m", "headstart", "ask", "-"]
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(words, input=b"\xff", capture_output=True, check=False, env=strict)
    assert (done.returncode, done.stderr) == (1, b"error: The prompt is not UTF-8 text.\n")


def test_an_export_below_a_file_is_refused(headstart: Run, tmp_path: Path, base_folder: Path, colours: Path) -> None:
    assert headstart("adapt", colours, "--name", "hues", "--steps", 1, "--base", base_folder).code == 0
    told = headstart("adapters", "export", "hues", "--to", "peft", "--out", colours / "out", "--base", base_folder)
    assert (told.code, "could not be written" in told.err) == (1, True)


def test_a_list_leaves_out_what_is_removed_meanwhile(headstart: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gone", "here"):
        foreign(home, name)
    read = peft.read

    def removed(folder: Path) -> object:
        found = read(folder)
        if folder.name == "gone":
            trash.remove(Shelf(), "gone")
        return found

    monkeypatch.setattr(facts.peft, "read", removed)
    told = headstart("adapters", "list", "--json")
    assert [it["name"] for it in told.json["adapters"]] == ["here"]


def test_a_shelf_that_cannot_be_written_is_found_before_teaching(
    headstart: Run, home: Path, colours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    (home / "adapters").write_text("no folder")
    monkeypatch.setattr(adapt, "open_base", lambda *_: pytest.fail("too late"))
    told = headstart("adapt", colours, "--name", "hues")
    assert (told.code, "could not be written" in told.err) == (1, True)


def test_rows_that_contradict_each_other_are_named_and_taught_all_the_same(headstart: Run, colours: Path, base_folder: Path) -> None:
    words = ("--name", "hues", "--base", base_folder, "--steps", 1, "--start", "none", "--json")
    with colours.open("a") as file:
        file.write('{"prompt": "red", "completion": "Q"}\n')
    told = headstart("adapt", colours, *words)
    assert (told.code, told.json["examples"]) == (0, 5)
    assert "contradicts itself" in told.err
    assert "  line 5: asks what line 1 asks, and answers otherwise\n" in told.err
