"""Exports: each form says on another engine's terms what the adapter says here."""

from __future__ import annotations

import ast
import json
import os
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM

from headstart.adapters import peft
from headstart.adapters.export import CONVERTER
from headstart.adapters.modelfile import modelfile, template
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of, wear
from headstart.commands import export, opening
from headstart.episode import Example
from headstart.errors import AdapterRefused
from headstart.lm.load import Base, load
from headstart.lm.pieces import Pieces
from headstart.lm.tiny import tiny_base
from tests.conftest import Told, next_logits
from tests.serve.conftest import BEFORE, loud

Run = Callable[..., Told]
CHATML = Pieces({"system": ("<s>", "<e>"), "user": ("<u>", ""), "assistant": ("<a>", "<e>")}, "<a>", "Be {{kind}}.")


@pytest.fixture
def shelf(home: Path, tiny: Base) -> Shelf:
    shelf = Shelf()
    shelf.write("plain", loud(tiny, 1), {"base": asdict(key_of(tiny))}, 4)
    shelf.write("kept", loud(tiny, 2), {"base": asdict(key_of(tiny))}, 4, BEFORE)
    return shelf


@pytest.mark.usefixtures("shelf")
def test_gguf_and_peft_folders_hold_the_adapter_and_its_examples(headstart: Run, base_folder: Path, tmp_path: Path) -> None:
    told = headstart("adapters", "export", "kept", "--to", "gguf", "--out", tmp_path / "a" / "b", "--base", base_folder, "--json")
    assert told.code == 0, told.err
    assert told.json["prefix"] == 2
    assert (tmp_path / "a" / "b" / "prefix.jsonl").is_file()
    assert len(GGUFReader(tmp_path / "a" / "b" / "adapter.gguf").tensors) == 4 * 7 * 2
    told = headstart("adapters", "export", "kept", "--to", "vllm", "--out", tmp_path / "v", "--base", base_folder)
    assert "--enable-lora" in told.out
    assert "put them there yourself" in told.out
    assert {path.name for path in (tmp_path / "v").iterdir()} >= {"adapter_config.json", "adapter_model.safetensors", "prefix.jsonl"}


def test_settings_of_another_tool_that_engines_read_differently_are_folded_in(
    headstart: Run, shelf: Shelf, base_folder: Path, tmp_path: Path
) -> None:
    config = shelf.path("plain") / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"use_rslora": True, "alpha_pattern": {"q_proj": 16}}))
    expected = peft.read(shelf.path("plain"))[0]
    assert headstart("adapters", "export", "plain", "--to", "vllm", "--out", tmp_path / "v", "--base", base_folder).code == 0
    said = json.loads((tmp_path / "v" / "adapter_config.json").read_text())
    assert (said["lora_alpha"], said.get("use_rslora", False), said.get("alpha_pattern", {})) == (said["r"], False, {})
    written = peft.read(tmp_path / "v")[0]
    assert all(torch.allclose(written[name], w, rtol=1e-3, atol=1e-4) for name, w in expected.items())


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_merged_model_answers_as_the_base_under_the_adapter(headstart: Run, home: Path, tmp_path: Path, family: str) -> None:
    folder = tiny_base(tmp_path / family, family)
    base, shelf = load(str(folder), torch.float32), Shelf()
    shelf.write("plain", loud(base, 1), {"base": asdict(key_of(base))}, 4)
    assert headstart("adapters", "export", "plain", "--to", "merged", "--out", tmp_path / "m", "--base", folder).code == 0
    merged, tokens = AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32), [5, 6, 7]
    worn = wear(base, shelf, "plain")
    expected, bare = next_logits(worn.net, worn.bank, 1, tokens), next_logits(worn.net, {}, 0, tokens)
    with torch.inference_mode():
        said = merged(torch.tensor([tokens])).logits[0, -1]
    worn.net.remove()
    assert torch.allclose(said, expected, atol=0.05)
    assert not torch.allclose(said, bare, atol=0.5)


@pytest.mark.parametrize(("form", "asked"), [("gguf", ["serve"]), ("vllm", ["serve"]), ("merged", [])])
def test_room_is_planned_for_every_form_but_the_one_that_wants_the_whole_base(
    headstart: Run, base_folder: Path, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, asked: list[str]
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(opening, "by_room", lambda name, purpose, device: seen.append(purpose))
    headstart("adapters", "export", shelf.names()[0], "--to", form, "--out", tmp_path / "out", "--base", base_folder)
    assert seen == asked


@pytest.mark.usefixtures("shelf")
def test_how_it_is_used_can_be_pasted_wherever_it_lies(headstart: Run, base_folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "it's here"
    for form in ("vllm", "peft"):
        words = ("--to", form, "--out", place / form, "--base", base_folder)
        use = headstart("adapters", "export", "plain", *words, "--json").json["use"]
        if form == "vllm":
            assert shlex.split(use)[-1] == f"plain={place / form}"
        else:
            assert ast.literal_eval(use.partition("model, ")[2].removesuffix(")")) == str(place / form)


@pytest.mark.usefixtures("shelf")
def test_a_place_that_is_taken_and_a_base_that_is_no_gguf_are_refused(headstart: Run, base_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    told = headstart("adapters", "export", "plain", "--to", "peft", "--out", tmp_path / "there", "--base", base_folder)
    assert (told.code, "there already" in told.err) == (1, True)
    told = headstart("adapters", "export", "plain", "--to", "ollama", "--out", tmp_path / "o", "--base", base_folder)
    assert (told.code, "read bases as GGUF" in told.err) == (1, True)
    assert not (tmp_path / "o").exists()
    assert headstart("adapters", "export", "nobody", "--to", "gguf", "--base", base_folder).code == 1


@pytest.mark.parametrize("broken", ["prefix.jsonl", "headstart.json"])
def test_what_is_broken_is_told_before_a_base_is_loaded(
    headstart: Run, shelf: Shelf, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    (shelf.path("kept") / broken).write_text("{")
    monkeypatch.setattr(export, "open_base", lambda *_, **__: pytest.fail("a base was loaded"))
    told = headstart("adapters", "export", "kept", "--to", "gguf", "--out", tmp_path / "out", "--base", base_folder)
    assert (told.code, f"The {broken} of 'kept'" in told.err) == (1, True)


def test_a_modelfile_says_template_system_stops_and_examples() -> None:
    text = modelfile("/b.gguf", "./adapter.gguf", CHATML, ["<e>", ""], [Example.pair("a\nb", "c")])
    assert text.startswith("FROM /b.gguf\nADAPTER ./adapter.gguf\n")
    assert 'PARAMETER stop """<e>"""\n' in text
    assert text.count("PARAMETER stop") == 1
    assert text.endswith('MESSAGE user """a\nb"""\nMESSAGE assistant """c"""\n')
    turns = '{{ if eq .Role "system" }}<s>{{ .Content }}<e>{{ else if eq .Role "user" }}<u>{{ .Content }}'
    assert (
        template(CHATML) == "{{ range .Messages }}" + turns + '{{ else if eq .Role "assistant" }}<a>{{ .Content }}<e>{{ end }}{{ end }}<a>'
    )
    kept = [Example((("system", "Be terse."), ("user", "a"), ("assistant", "b")))]
    told = modelfile("/b.gguf", "a", CHATML, [], kept, "Be terse.")
    assert told.count("Be terse.") == 1
    assert 'SYSTEM """Be terse."""\n' in told, "in the place of what the template says of its own accord"
    others = [Example((("system", f"Be {how}."), ("user", how), ("assistant", "b"))) for how in ("kind", "brief")]
    told = modelfile("/b.gguf", "a", CHATML, [], others)
    assert "MESSAGE system" not in told
    assert 'MESSAGE user """Be kind.\n\nkind"""' in told, "each in its own question, as it was taught"
    assert f'SYSTEM """{CHATML.system}"""\n' in told
    told = modelfile("/b.gguf", "a", CHATML, [], [others[0], Example.pair("c", "d")])
    assert "MESSAGE system" not in told
    assert 'SYSTEM """Be kind."""\n' in told, "in front of all, as it was taught"
    with pytest.raises(AdapterRefused, match="three quotes"):
        modelfile("/b.gguf", "a", CHATML, [], [Example.pair('"""', "c")])


@pytest.mark.usefixtures("shelf")
def test_a_merged_model_is_written_as_gguf_where_the_converter_is(
    headstart: Run, base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / CONVERTER
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@" > "$1/words"\ntest -f "$1/model.safetensors" && echo made > "$5"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    words = ("adapters", "export", "plain", "--to", "merged", "--base", base_folder, "--out")
    assert headstart(*words, tmp_path / "m").code == 0
    assert (tmp_path / "m" / "model-f16.gguf").read_text() == "made\n"
    assert "--outtype f16" in (tmp_path / "m" / "words").read_text()
    program.write_text("#!/bin/sh\necho unknown family >&2\nexit 1\n")
    told = headstart(*words, tmp_path / "n")
    assert (told.code, "unknown family" in told.err, (tmp_path / "n").exists()) == (1, True, False)
