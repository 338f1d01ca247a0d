from collections.abc import Sequence

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from headstart.bank import fill
from headstart.learners.inner import slopes
from headstart.lm import tiny
from headstart.lm.batch import Encoded
from headstart.lm.graft import Grafted
from headstart.lm.objective import lower, objective
from headstart.lm.talk import Lora, Talk
from headstart.plan.activations import Batch, kept, logits_kept
from headstart.plan.moments import twice
from headstart.plan.setting import Setting
from headstart.plan.shape import FAMILIES, shape_of

MADE = {**tiny.FAMILIES, "gemma": {**tiny.FAMILIES["llama"], "tie_word_embeddings": True}}
FIRST = {"phi3": ("qkv_proj",), "gpt2": ("c_attn",), "gpt_neox": ("query_key_value",)}
LENGTH, ANSWER = 48, 16
NEAR = 0.02
"""Indices, losses a row and the like, which tiny models do not dwarf."""


def saved(family: str, dtype: torch.dtype, targets: Sequence[str] | str, lowest: int, rows: int) -> int:
    """What autograd really holds after a forward pass, weights and bank not counted."""
    config = AutoConfig.for_model(family, **MADE[family])
    net = Grafted(AutoModelForCausalLM.from_config(config, dtype=dtype), targets, range(lowest, 4))
    bank = {name: stack.requires_grad_() for name, stack in fill(net.blank(0), 1).items()}
    encoded = [Encoded(tuple(range(LENGTH - ANSWER)), tuple(range(i, i + ANSWER))) for i in range(rows)]
    (piece,) = objective(net, [(1, e) for e in encoded], 2, lower(net, encoded))
    held = {p.untyped_storage().data_ptr() for p in (*net.model.parameters(), *bank.values())}
    seen: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in held:
            seen[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        piece(bank).sum()
    return sum(storage.nbytes() for storage in seen.values())


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("lowest", [0, 2])
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_kept_is_what_autograd_saves(family: str, everything: bool, precision: str, lowest: int, rows: int) -> None:
    targets = ("all-linear",) if everything else FIRST.get(family, ("q_proj", "v_proj"))
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    shape = shape_of(AutoConfig.for_model(family, **MADE[family]).to_dict(), family)
    setting, batch = Setting(precision=precision, target=targets, lowest=lowest), Batch(rows, LENGTH, rows * ANSWER)
    told = kept(shape, setting, batch) + logits_kept(shape, setting, batch)
    assert told == pytest.approx(saved(family, dtype, "all-linear" if everything else targets, lowest, rows), rel=NEAR)


def test_layers_that_are_computed_again_keep_their_inputs_alone() -> None:
    shape = shape_of(AutoConfig.for_model("llama", **MADE["llama"]).to_dict(), "llama")
    batch = Batch(1, 64, 32)
    again = kept(shape, Setting(checkpoint=True), batch)
    assert 4 * 64 * shape.width * 2 <= again < kept(shape, Setting(), batch) / 4


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_a_step_that_is_differentiated_again_keeps_what_autograd_saves(family: str, everything: bool) -> None:
    targets = ("all-linear",) if everything else ("q_proj", "v_proj")
    sizes = {**MADE[family], "hidden_size": 64, "intermediate_size": 176, "num_key_value_heads": 4, "head_dim": 16}
    config = AutoConfig.for_model(family, **sizes)
    lora = Lora(Grafted(AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16), list(targets)), 8)
    talk = Talk(tuple((Encoded(tuple(range(32)), tuple(range(i, i + 16))),) for i in range(3)))
    bank = {name: stack.requires_grad_() for name, stack in fill(lora.blank(0), 3).items()}
    held = {p.untyped_storage().data_ptr() for p in (*lora.net.model.parameters(), *bank.values())}
    seen: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if (storage := tensor.untyped_storage()).data_ptr() not in held:
            seen[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        slopes(lora, bank, tuple(bank), talk, second=True)
    shape, batch = shape_of(config.to_dict(), family), Batch(3, LENGTH, 3 * ANSWER, gathered=False)
    told = twice(shape, Setting(target=targets), batch) + 8 * batch.targets * shape.vocabulary
    assert told == pytest.approx(sum(storage.nbytes() for storage in seen.values()), rel=0.06)
