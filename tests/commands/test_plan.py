import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from headstart.lm.load import native_dtype
from headstart.plan import cards

LLAMA = "meta-llama/Llama-2-7b-hf"
PHI = "microsoft/Phi-3-mini-4k-instruct"


def test_the_contract_s_keys(headstart: Callable) -> None:
    told = headstart("plan", LLAMA, "--card", "RTX 4090", "--json", "--offline")
    assert told.code == 0
    facts = told.json
    assert facts["fits"] is True
    assert facts["verdict"] in ("fits", "tight")
    assert facts["base_bytes"] == 13_476_831_232
    assert facts["adapter_file_bytes"] == 8_388_608
    peaks = [facts[key] for key in ("adapt_bytes", "serve_bytes", "full_finetune_bytes")]
    assert all(isinstance(peak, int) and peak > facts["base_bytes"] for peak in peaks)
    assert facts["adapt_bytes"] < facts["memory"]["bytes"] < facts["full_finetune_bytes"]
    assert facts["adapt_bytes"] == sum(facts["purposes"]["adapt"]["pieces"].values())
    assert facts["setting"]["examples"] * facts["setting"]["length"] == 1280
    assert facts["seconds"]["adapt"] > 0


def test_a_processor_without_bf16_is_told_of_where_it_is_this_one_that_is_planned_for(
    headstart: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(cards, "CPUINFO", tmp_path / "cpuinfo")
    for flags, native in (("flags : fpu avx512_bf16", True), ("Features : fp sve bf16", True), ("", True), ("flags : fpu avx2", False)):
        (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\n")
        assert headstart("plan", "--json").json["note"] is None or not native
    assert "commands here load fp32: plan with --precision fp32" in headstart("plan", "--json").json["note"]
    assert "commands here load fp32" in headstart("plan").err
    for words in (("--precision", "fp32"), ("--card", "RTX 4090"), ("--memory", "8GB")):
        assert headstart("plan", *words, "--json").json["note"] is None


def test_this_processor_s_flags_say_what_torch_says() -> None:
    assert cards.processor().native == (native_dtype("cpu") == torch.bfloat16)


def test_what_does_not_fit_is_said_with_what_to_change(headstart: Callable) -> None:
    told = headstart("plan", LLAMA, "--memory", "16GB", "--json")
    assert (told.code, told.json["fits"], told.json["verdict"]) == (0, False, "no")
    assert told.json["change"][0]["what"].startswith("layers computed again")
    assert told.json["seconds"] is None


@pytest.mark.parametrize(("memory", "shown"), [("16GB", [-1]), ("18GB", [0, -1]), ("2GB", [-1])])
def test_people_are_told_of_the_mildest_changes_that_fit_or_of_what_takes_least(headstart: Callable, memory: str, shown: list[int]) -> None:
    asked = ("plan", "Qwen/Qwen2.5-7B", "--memory", memory, "--for", "serve")
    named = headstart(*asked, "--json").json["change"]
    assert len(named) > 2
    told = [line for line in headstart(*asked).out.splitlines() if line.startswith("to change")]
    assert told == [
        f"to change in headstart serve: {it['what']}: {it['peak'] / 1e9:.2f} GB, {it['verdict']}" for it in map(named.__getitem__, shown)
    ]


@pytest.mark.parametrize(
    ("name", "purpose", "words"),
    [
        *((name, purpose, ()) for name in (LLAMA, PHI) for purpose in ("adapt", "serve", "meta-train")),
        (LLAMA, "meta-train", ("--order", "2")),
        (LLAMA, "full", ("--length", "2048", "--examples", "64", "--piece", "131072")),
    ],
)
def test_what_to_change_can_be_given_to_the_command_that_it_is_said_of(
    headstart: Callable, name: str, purpose: str, words: tuple[str, ...]
) -> None:
    asked = ("plan", name, "--memory", "2GB", "--for", purpose, *words)
    lines = [it["what"] for it in headstart(*asked, "--json").json["change"]]
    assert lines
    command = "plan" if purpose == "full" else purpose
    options = set(re.findall(r"--[a-z-]+", headstart(command, "--help").out))
    assert {it for line in lines for it in re.findall(r"--[a-z-]+", line)} <= options
    assert f"to change in headstart {command}: {lines[-1]}" in headstart(*asked).out
    for line in lines if purpose == "meta-train" else []:
        learner = [] if "--learner" in line else ["--learner", "maml"]
        told = headstart("meta-train", "--tasks", "dialects", *learner, *line.split(), "--print-config")
        config = tomllib.loads(told.out)
        for key, value in re.findall(r"(\S+)=(\S+)", line):
            table, _, field = key.partition(".")
            assert config[table][field] == int(value)


@pytest.mark.parametrize(
    ("config", "target"),
    [
        ({"model_type": "gpt2", "n_embd": 64, "n_head": 4, "n_layer": 3, "n_positions": 1024, "vocab_size": 500}, "c_attn"),
        (
            {
                "model_type": "gpt_neox",
                "hidden_size": 64,
                "intermediate_size": 256,
                "num_attention_heads": 4,
                "num_hidden_layers": 3,
                "vocab_size": 500,
            },
            "query_key_value",
        ),
    ],
)
@pytest.mark.parametrize("purpose", ["adapt", "serve", "meta-train", "full"])
def test_families_with_one_linear_for_queries_and_values_are_planned_by_default(
    headstart: Callable, tmp_path: Path, config: dict, target: str, purpose: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    told = headstart("plan", tmp_path, "--memory", "2GB", "--for", purpose, "--json")
    assert told.code == 0
    assert told.json["setting"]["target"] == [target]


@pytest.mark.parametrize(("memory", "code"), [("80GB", 0), ("8GB", 1)])
def test_scripts_are_told_by_the_exit_code(headstart: Callable, memory: str, code: int) -> None:
    assert headstart("plan", LLAMA, "--memory", memory, "--check").code == code


def test_what_cannot_be_told_is_neither(headstart: Callable, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mixtral", "num_local_experts": 8}')
    checked, plain = headstart("plan", tmp_path, "--check"), headstart("plan", tmp_path)
    assert (checked.code, plain.code) == (2, 1)
    assert "mixture of experts" in checked.err
    assert "mixture of experts" in plain.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--card", "RTX 4900"), "Nearest: RTX 4090"),
        (("--memory", "much"), "no amount of memory"),
        (("--memory", ""), "'' is no amount of memory"),
        (("--card", ""), "no card ''"),
        (("--memory", "8GB", "--card", "L4"), "both given"),
        (("--target", "q_prj"), "Nearest: q_proj"),
        (("--length", "9000"), "context of 4096"),
        (("--answer", "500"), "1 to 128"),
        (("--lowest", "40"), "layers 0 to 31"),
    ],
)
def test_refusals(headstart: Callable, words: tuple[str, ...], said: str) -> None:
    told = headstart("plan", LLAMA, *words)
    assert told.code == 1
    assert said in " ".join(told.err.split())


def test_people_are_told_the_pieces(headstart: Callable, base_folder: Path) -> None:
    told = headstart("plan", base_folder, "--memory", "8GB", "--for", "serve", "--context", "256", "--length", "64")
    assert told.code == 0
    assert all(word in told.out for word in ("keys and values", "meta-train", "fits", "measured on one H200"))


def test_this_machine_s_speed_is_measured(headstart: Callable) -> None:
    seconds = headstart("plan", "--probe", "--json", "--precision", "fp32").json["seconds"]
    assert seconds["token"] > 0
    assert "measured here" in seconds["source"]
