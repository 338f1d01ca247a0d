"""An adapter from elsewhere that is odd in any way is refused as one, so that it harms no other on the shelf."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from headstart.adapters import facts, peft
from headstart.adapters.store import Shelf
from headstart.errors import AdapterRefused
from tests.adapters.test_peft import SITE, by_hand, refusal


@pytest.mark.parametrize("depth", [300, 600, 900, 100_000])
@pytest.mark.parametrize("key", ["bias", "peft_type", "base_model_name_or_path", "rank_pattern", "r"])
def test_a_config_of_any_depth_is_refused(tmp_path: Path, key: str, depth: int) -> None:
    said = json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 2, key: "HERE"})
    (by_hand(tmp_path / "deep") / peft.CONFIG).write_text(said.replace('"HERE"', "[" * depth + "]" * depth))
    assert "'deep'" in refusal(tmp_path / "deep")
    assert facts.adapter(Shelf(tmp_path), "deep")["problem"]


def test_ranks_too_far_apart_are_not_levelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = {"q_proj": 1, "k_proj": 3, "v_proj": 20}
    shapes = {f"{site}.lora_{half}": (rank, 8) if half == "A" else (8, rank) for site, rank in ranks.items() for half in "AB"}
    weights = {name: torch.ones(shape) for name, shape in shapes.items()}
    monkeypatch.setattr(peft, "_ZEROS", 8 * 2 * (19 + 17), raising=False)
    peft.write(tmp_path, weights, "b", 1)
    monkeypatch.setattr(peft, "_ZEROS", 8 * 2 * (19 + 17) - 1, raising=False)
    with pytest.raises(AdapterRefused, match="too far apart: at the largest, 20"):
        peft.write(tmp_path, weights, "b", 1)


ODD = tuple(it for it in (getattr(torch, "float4_e2m1fn_x2", None), torch.complex64, torch.int8, torch.bool) if it)


@pytest.mark.parametrize("dtype", ODD, ids=str)
def test_weights_that_are_no_real_numbers_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    halves = {half: torch.zeros(64 * dtype.itemsize, dtype=torch.uint8).view(dtype) for half in "AB"}
    weights = {f"{SITE}.lora_A": halves["A"].view(2, 32), f"{SITE}.lora_B": halves["B"].view(32, 2)}
    assert f"of {dtype}" in refusal(by_hand(tmp_path, weights))


@pytest.mark.parametrize("dtype", peft._FLOATS, ids=str)
def test_real_numbers_of_all_widths_are_read(tmp_path: Path, dtype: torch.dtype) -> None:
    weights = {f"{SITE}.lora_A": torch.ones(2, 32).to(dtype), f"{SITE}.lora_B": torch.ones(32, 2).to(dtype)}
    assert peft.read(by_hand(tmp_path, weights))[0][f"{SITE}.lora_A"].eq(1).all()
