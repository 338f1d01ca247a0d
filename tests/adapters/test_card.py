"""The model card says what the record holds, and its front matter is sound."""

from __future__ import annotations

from typing import Any

import yaml

from headstart.adapters.card import render

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
