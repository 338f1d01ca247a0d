"""Bases that can be asked and served, and those that are refused before anything is taught on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.errors import BaseRefused
from headstart.lm.suited import refuse_unsuited
from headstart.lm.tiny import FAMILIES, tiny_model, tiny_tokenizer
from tests.lm.odd import HEADED, LATENT, OTHERWISE, ROUTED, SEEING, STATEFUL, odd_model


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", [*FAMILIES, *ROUTED, *SEEING, *HEADED, *LATENT, "falcon", "gptj", "codegen", "mpt"])
def test_bases_of_attention_alone_suit_and_are_left_as_they_were(family: str, dtype: torch.dtype) -> None:
    model = tiny_model(family, dtype=dtype) if family in FAMILIES else odd_model(family, dtype)
    refuse_unsuited(model, "it")
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "forward" not in vars(module)


@pytest.mark.parametrize("family", STATEFUL)
def test_a_base_that_keeps_a_state_is_refused(family: str) -> None:
    model = odd_model(family)
    layers = 4 if family == "mamba" else 2
    with pytest.raises(BaseRefused, match=rf"'it' \({type(model).__name__}\) keeps a state of another kind .* in {layers} of its 4 layers"):
        refuse_unsuited(model, "it")
    assert not any(module._forward_hooks or "forward" in vars(module) for module in model.modules())


def test_a_base_that_wants_rows_of_one_length_is_refused() -> None:
    with pytest.raises(BaseRefused, match=r"\(BloomForCausalLM\) cannot read rows of unequal length \(ValueError: .* such as Llama"):
        refuse_unsuited(odd_model("bloom"), "it")


def test_a_base_with_windows_of_its_own_is_refused() -> None:
    with pytest.raises(BaseRefused, match="windows that take all rows for equally long"):
        refuse_unsuited(odd_model("gpt_neo"), "it")


@pytest.mark.parametrize("family", OTHERWISE)
def test_a_base_that_reads_rows_together_otherwise_than_alone_is_refused(family: str) -> None:
    with pytest.raises(BaseRefused, match="otherwise than each alone"):
        refuse_unsuited(odd_model(family), "it")


@pytest.mark.parametrize("words", [("adapt", "FILE", "--name", "hues", "--base"), ("ask", "red", "--base")])
def test_such_a_base_is_refused_before_anything_is_taught_or_kept(
    headstart: Callable[..., Any], colours: Path, home: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    folder = tmp_path / "lfm2"
    odd_model("lfm2").save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    told = headstart(*(colours if word == "FILE" else word for word in words), folder)
    assert (told.code, told.out) == (1, "")
    assert "(Lfm2ForCausalLM) keeps a state of another kind between tokens in 2 of its 4 layers" in " ".join(told.err.split())
    assert list(home.glob("adapters/*")) == []


def test_such_a_base_may_read_texts_for_their_features(headstart: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lfm2"
    odd_model("lfm2").save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": f"{n} {label}", "label": label}) + "\n" for n in range(3) for label in ("red", "blue")))
    told = headstart("eval", texts, "--learner", "prototypes", "--shots", 1, "--base", folder, "--json")
    assert told.code == 0, told.err
    assert told.json["count"] > 0
