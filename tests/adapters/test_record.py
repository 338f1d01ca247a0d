"""Records from elsewhere: those of headstart are taken, others are refused with all that is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headstart.adapters import record
from headstart.adapters.starts import SHIPPED
from headstart.errors import AdapterRefused

SOUND: dict[str, Any] = {
    "examples": 3,
    "seconds": 1,
    "scores": {"base": {"exact_match": 0, "loss": 1.5, "of a later version": 1}, "prompt": None},
    "glances": {"none": 2.5},
    "clear": None,
    "mine": [1],
}


def test_records_of_headstart_are_taken() -> None:
    record.check("empty", "{}")
    record.check("sound", json.dumps(SOUND))
    for place in SHIPPED.glob("*/headstart.json"):
        record.check(place.parent.name, place.read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", ["SQL \u2067של החברה\u2069 (v2)", "\u202bشركة\u202c", "a\tb\nc", "e\u0301 \u200f"])
def test_texts_of_every_script_are_taken(text: str) -> None:
    record.check("x", json.dumps(SOUND | {"about": text, "versions": {text: text}}))
    assert record.legible(text)


@pytest.mark.parametrize("text", ["\x1b[2J", "a\rb", "a\x85b", "\x7f", "half \udcfc"])
def test_codes_and_halves_of_letters_are_none(text: str) -> None:
    assert not record.legible(text)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"examples": "3"}, "examples"),
        ({"base": {"name": "x"}}, "base.content"),
        ({"base": {"name": ["x"], "content": "", "tokenizer": "", "template": ""}}, "base.name"),
        ({"scores": {"adapter": 3}}, "scores.adapter"),
        ({"seconds": "long"}, "seconds"),
        ({"score": {"metric": "exact match", "mean": 0.5, "low": 0.4, "high": 0.6}}, "score.tasks"),
        ({"versions": {"torch": 2}}, "versions.torch"),
        ({"about": "\x1b[2Jgone"}, "about"),
        ({"about": "a\x9bb"}, "about"),
        ({"about": "a\rb"}, "about"),
        ({"scores": {"base": {"exact_match": 0, "loss": float("nan")}}}, "scores.base.loss"),
        ({"ways": {"base": {"exact_match": 0, "loss": 1, "more": float("inf")}}}, "ways.base.more"),
        ({"starts": ["none"]}, "starts"),
        ({"glances": {"none": "low"}}, "glances.none"),
        ({"clear": "yes"}, "clear"),
        ({"job": 3}, "job"),
    ],
)
def test_what_could_not_be_read_later_is_refused(wrong: dict[str, Any], where: str) -> None:
    with pytest.raises(AdapterRefused, match=rf"headstart\.json of 'x' is not what headstart writes \({where}"):
        record.check("x", json.dumps(SOUND | wrong))


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(AdapterRefused, match=r"steps.*; folds"):
        record.check("x", json.dumps({"steps": "a", "folds": "b"}))
