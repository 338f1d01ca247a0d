from collections.abc import Callable
from pathlib import Path

import pytest

LLAMA = "meta-llama/Llama-2-7b-hf"


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


def test_what_does_not_fit_is_said_with_what_to_change(headstart: Callable) -> None:
    told = headstart("plan", LLAMA, "--memory", "16GB", "--json")
    assert (told.code, told.json["fits"], told.json["verdict"]) == (0, False, "no")
    assert told.json["change"][0]["what"].startswith("layers computed again")
    assert told.json["seconds"] is None


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
