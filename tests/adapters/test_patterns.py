"""Whose rank and scale a pattern tells is peft's own rule; and both halves of a site have the rank that is told."""

from pathlib import Path

import pytest
import torch
from peft.utils.other import get_pattern_key

from headstart.adapters import peft
from tests.adapters.test_peft import SITE, by_hand, refusal

SITES = (SITE, "model.layers.11.self_attn.q_proj", "model.layers.1.mlp.up_proj", "q_proj")


@pytest.mark.parametrize(
    "pattern", ["q_proj", "proj", "_proj", "self_attn", "layers.1", r"layers\.1\..*", r"1\.self_attn\.q_proj", "q_proj|up_proj", ".*q"]
)
def test_a_pattern_is_of_the_sites_that_peft_takes_it_for(pattern: str) -> None:
    for site in SITES:
        theirs = get_pattern_key([pattern], site) == pattern
        assert peft._pattern({pattern: True}, site, False) == theirs


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
