"""The model card says what the record holds, and its front matter is sound."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from headstart.adapters.card import render, titled

RECORD: dict[str, Any] = {
    "base": {"name": "some/base", "content": "c" * 64},
    "examples": 7,
    "start": "sql",
    "steps": 9,
    "seconds": 1.25,
    "folds": 3,
    "peak_memory_bytes": 512_000_000,
    "examples_hash": "e" * 64,
    "versions": {"headstart": "0.1.0", "torch": "2.9"},
    "scores": {"base": {"exact_match": 0.0, "loss": 3.5}, "adapter": {"exact_match": 0.75, "loss": 0.125}},
}


def front(card: str) -> Any:
    return yaml.safe_load(card.split("---\n")[1])


def test_the_front_matter_names_the_base() -> None:
    assert front(render("mine", RECORD)) == {"base_model": "some/base", "library_name": "peft", "tags": ["lora", "headstart"]}


def test_every_fact_of_the_record_is_on_the_card() -> None:
    card = render("mine", RECORD)
    for fact in (
        "# mine",
        "7 examples",
        "1.2 s",
        "9 steps",
        "start: sql",
        "3 folds",
        "512 MB",
        "e" * 64,
        "c" * 64,
        "headstart 0.1.0",
        "torch 2.9",
    ):
        assert fact in card
    assert "| adapter | 75 % | 0.125 |" in card
    assert "| base | 0 % | 3.500 |" in card


def test_without_scores_there_is_no_table() -> None:
    card = render("mine", {"base": RECORD["base"], "scores": {}})
    assert "exact match" not in card
    assert front(card)["base_model"] == "some/base"


def test_of_an_adapter_that_keeps_examples_the_weights_alone_are_scored_too() -> None:
    ways = {"ways": {"weights": {"exact_match": 0.5, "loss": 0.25}}}
    card = render("mine", RECORD | ways | {"prefix": 4})
    assert "keeps 4 examples in front of every prompt" in card
    assert "| adapter, its weights alone (what PEFT gives) | 50 % | 0.250 |" in card
    assert "weights alone" not in render("mine", RECORD | ways | {"prefix": 0})


def test_what_is_not_known_is_not_made_up() -> None:
    bare = render("mine", {"base": {"name": "some/base"}})
    assert "?" not in bare
    assert "A LoRA for `some/base`.\n" in bare
    assert "licence" not in bare
    published = render("mine", {"base": {"name": "some/base"}}, "jane/mine")
    assert "licence of the base: not known" in published
    assert "licence of the examples and of this adapter: not stated" in published
    assert "license" not in front(published)


def test_the_default_base_and_common_licences_are_known() -> None:
    embedded = {"base": {"name": "HuggingFaceTB/SmolLM2-135M-Instruct"}, "licence": "Apache 2.0"}
    assert "licence of the base: Apache-2.0" in render("mine", embedded)
    assert front(render("mine", embedded))["license"] == "apache-2.0"
    assert "license" not in front(render("mine", embedded | {"licence": "ask me"}))


def test_a_base_that_is_a_file_is_not_named_to_the_hub() -> None:
    card = render("mine", RECORD | {"base": {"name": "tiny.gguf", "content": "c" * 64, "local": True}}, "jane/mine")
    assert "base_model" not in front(card)
    assert "`tiny.gguf`, a base that its maker has as a file" in card


def test_a_base_that_is_a_gguf_is_loaded_as_one() -> None:
    for base, folder in (({"name": "/models/small.gguf"}, "/models"), ({"name": "small.gguf", "local": True}, "path/to")):
        code = render("mine", RECORD | {"base": base})
        compile(code.split("```python\n")[1].split("```")[0], "card", "exec")
        assert f'from_pretrained("{folder}", gguf_file="small.gguf")' in code
    assert 'from_pretrained("some/base")' in render("mine", RECORD)


@pytest.mark.parametrize("record", [RECORD, {"kind": "start", "base": RECORD["base"]}])
def test_under_another_name_a_card_has_another_title(record: dict[str, Any]) -> None:
    card = render("mine", record)
    assert titled("other", card) == card.replace("\n# mine\n", "\n# other\n") != card
    assert titled("mine", card) == card


@pytest.mark.parametrize(
    "text",
    [
        "",
        "words\n\n# mine\n",
        "# Our own dialect\n",
        "---\nlicense: mit\n---\nwords\n\n---\n# mine\n",
        "---\n# mine\n",
        "## mine\n",
        "\n```\n# mine\n```\n",
    ],
)
def test_what_is_no_title_of_a_card_stays(text: str) -> None:
    assert titled("other", text) == text
