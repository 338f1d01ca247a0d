"""Adapters that peft began out of the base itself, which is another one under them: refused, and read once peft has converted them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import peft as real
import pytest
import torch

from headstart.adapters import peft
from headstart.bank import blank, put, sites_of
from headstart.errors import AdapterRefused
from headstart.lm.batch import Batch, Encoded
from headstart.lm.graft import Grafted
from headstart.lm.tiny import tiny_model

# peft still asks transformers for this by its former name.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:(PiSSA|OLoRA) changes the base weights:UserWarning"),
]
BATCH = Batch.of([Encoded((5, 9, 14), (3, 8, 21))])


def saved(folder: Path, begun: str, **how: Any) -> torch.Tensor:
    """An adapter that peft began so, moved a little and saved; its logits."""
    model = real.get_peft_model(tiny_model("llama"), real.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=begun))
    if how:
        model.peft_config["default"].init_lora_weights = True
        model.save_pretrained(folder.parent / "first")
        model.peft_config["default"].init_lora_weights = begun
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.add_(0.1 if "lora_B" in name else 0)
    model.eval()
    logits = model(input_ids=BATCH.tokens).logits[BATCH.owner, BATCH.place].detach()
    model.save_pretrained(folder, **how)
    return logits


@pytest.mark.parametrize("begun", ["pissa", "olora"])
def test_it_is_refused_with_the_mend_and_read_once_that_is_done(tmp_path: Path, begun: str) -> None:
    saved(tmp_path / "it", begun)
    with pytest.raises(AdapterRefused, match=f"init_lora_weights='{begun}', .* path_initial_model_for_weight_conversion makes a plain"):
        peft.read(tmp_path / "it")
    shutil.rmtree(tmp_path / "it")
    wanted = saved(tmp_path / "it", begun, path_initial_model_for_weight_conversion=str(tmp_path / "first"))
    weights, _ = peft.read(tmp_path / "it")
    net = Grafted(tiny_model("llama"), sites_of(weights))
    bank = blank(weights, 1)
    put(bank, 1, weights)
    torch.testing.assert_close(net(bank, torch.tensor([1]), BATCH), wanted, rtol=1e-3, atol=1e-3)


BEGUN = {"pissa_niter_4": "plain LoRA", "OLoRA": "plain LoRA", "corda": "plain LoRA", "lora_ga": "plain LoRA", "loftq": "LoftQ quantised"}


@pytest.mark.parametrize("begun", [*BEGUN, True, False, None, "gaussian", "eva", "orthogonal"])
def test_whether_it_changed_the_base_decides(tmp_path: Path, begun: str | bool | None) -> None:
    saved(tmp_path / "it", "gaussian")
    file = tmp_path / "it" / peft.CONFIG
    file.write_text(json.dumps(json.loads(file.read_text()) | {"init_lora_weights": begun}))
    if begun in BEGUN:
        with pytest.raises(AdapterRefused, match=BEGUN[str(begun)]):
            peft.read(tmp_path / "it")
    else:
        assert peft.read(tmp_path / "it")[0]
