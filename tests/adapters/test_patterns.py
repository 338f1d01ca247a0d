"""Whose rank and scale a pattern tells is peft's own rule; and both halves of a site have the rank that is told."""

import re
from pathlib import Path

import pytest
import torch
from peft.utils.other import get_pattern_key

from headstart.adapters import peft
from tests.adapters.test_peft import SITE, by_hand, refusal

SITES = (SITE, "model.layers.11.self_attn.q_proj", "model.layers.1.mlp.up_proj", "q_proj")
ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
MLP = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
EXPERTS = ("block_sparse_moe.gate", *(f"block_sparse_moe.experts.{expert}.w{half}" for expert in range(8) for half in (1, 2, 3)))
EIGHT = [rf".*layers\.{layer}\..*q_proj" for layer in range(8)]


def named(layers: int, *words: str) -> list[str]:
    return [f"model.layers.{layer}.{word}" for layer in range(layers) for word in words]


@pytest.mark.parametrize(
    "pattern", ["q_proj", "proj", "_proj", "self_attn", "layers.1", r"layers\.1\..*", r"1\.self_attn\.q_proj", "q_proj|up_proj", ".*q"]
)
def test_a_pattern_is_of_the_sites_that_peft_takes_it_for(pattern: str) -> None:
    for site in SITES:
        theirs = get_pattern_key([pattern], site) == pattern
        assert peft._pattern(peft._patterns({pattern: True}, SITES), site, False) == theirs


@pytest.mark.parametrize("key", ["rank_pattern", "alpha_pattern"])
@pytest.mark.parametrize(
    "pattern",
    [
        "(?:[a-z._0-9]|[a-z._0-9])*!",
        "(.|.)" * 30 + "!",
        "_?.?" * 20 + "!",
        "(.?)?" * 20 + "!",
        "(?x:(.|.) *!)",
        ".*.*.*.*.*!",
        "(" * 9 + ".*" + ")+" * 9 + "!",
    ],
)
def test_a_pattern_that_could_be_looked_for_without_an_end_is_refused(tmp_path: Path, key: str, pattern: str) -> None:
    assert "might never end" in refusal(by_hand(tmp_path, **{key: {pattern: 2}}))


def test_patterns_for_all_sites_of_a_large_model_are_read() -> None:
    sites = named(80, *ATTENTION, *MLP)
    told = dict.fromkeys([*sites, r"layers\.(0|1|1[0-9])\.(self_attn|mlp)\..*"], 4)
    assert len(peft._patterns(told, sites)) == len(told)


@pytest.mark.parametrize(
    ("sites", "patterns"),
    [
        (named(32, *ATTENTION), [r"layers\.(?:0|1|2)\.(?:self_attn|mlp)\.(?:q|up)_proj"]),
        (named(32, *ATTENTION), [r"(model\.)?layers\.[012]\.self_attn\.q_proj"]),
        (named(32, *ATTENTION, *MLP), [r".*\.layers\.([0-9]|1[0-5])\..*\.(q|k|v|o)_proj"]),
        (named(80, *ATTENTION, *MLP), EIGHT),
        (named(32, *ATTENTION, *EXPERTS), EIGHT),
    ],
    ids=["choices", "left out or not", "layers of a 7B", "one a layer of a 70B", "one a layer of a Mixtral"],
)
def test_patterns_as_people_write_them_are_read(sites: list[str], patterns: list[str]) -> None:
    assert len(peft._patterns(dict.fromkeys(patterns, 4), sites)) == len(patterns)


def test_names_are_read_behind_whatever_stands_before_a_pattern() -> None:
    with pytest.raises(ValueError, match="might never end"):
        peft._patterns(dict.fromkeys(map(str, range(20_000)), 4), ["a" * 10_000])


@pytest.mark.parametrize("pattern", ["(" * 3000 + "q_proj" + ")" * 3000, "(" * 3000])
def test_a_pattern_too_deep_is_refused(tmp_path: Path, pattern: str) -> None:
    assert re.search("cannot be read|nested too deeply", refusal(by_hand(tmp_path, rank_pattern={pattern: 2})))


@pytest.mark.parametrize("shapes", [((1, 32), (32, 2)), ((2, 32), (32, 1)), ((2, 32), (32, 2, 1)), ((2, 32, 1), (32, 2))], ids=str)
def test_a_half_of_another_rank_or_with_an_axis_too_many_is_refused(tmp_path: Path, shapes: tuple[tuple[int, ...], ...]) -> None:
    weights = {f"{SITE}.lora_{half}": torch.ones(shape) for half, shape in zip("AB", shapes, strict=True)}
    assert "where r=2" in refusal(by_hand(tmp_path, weights))


def test_what_is_wrong_with_every_site_is_said_of_five_and_counted(tmp_path: Path) -> None:
    shapes = {"A": (3, 32), "B": (32, 3)}
    weights = {f"{SITE.replace('0', str(i))}.lora_{half}": torch.ones(shape) for i in range(9) for half, shape in shapes.items()}
    told = refusal(by_hand(tmp_path, weights))
    assert told.count("where r=2") == 5
    assert told.endswith("; 4 more such sites.")
