import json
from importlib.resources import files

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from headstart.errors import BaseRefused
from headstart.lm import tiny
from headstart.lm.sites import find_sites
from headstart.plan.shape import FAMILIES, shape_of
from headstart.terms import ALL_LINEAR

BASES = json.loads((files("headstart.plan") / "bases.json").read_text())["bases"]
MADE = {**tiny.FAMILIES, "gemma": {**tiny.FAMILIES["llama"], "tie_word_embeddings": True}}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_and_linear_is_where_transformers_has_it(family: str) -> None:
    config = AutoConfig.for_model(family, **MADE[family])
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    shape = shape_of(config.to_dict(), family)
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    linears = {f".{layer}.{it.name}": (it.width_in, it.width_out) for layer in range(shape.layers) for it in shape.linears}
    found = {name: (site.width_in, site.width_out) for name, site in find_sites(model, ALL_LINEAR).items()}
    assert len(found) == len(linears)
    assert all(any(name.endswith(end) and sizes == wide for end, sizes in linears.items()) for name, wide in found.items())


@pytest.mark.parametrize("row", BASES, ids=lambda row: row["names"][0])
def test_shipped_shapes_have_as_many_parameters_as_their_makers_say(row: dict) -> None:
    assert shape_of(row["config"], "it").parameters == row["parameters"]


def test_known_figures_of_seven_billions() -> None:
    llama = shape_of(next(row["config"] for row in BASES if "meta-llama/Llama-2-7b-hf" in row["names"]), "it")
    assert llama.parameters == 6_738_415_616
    assert 2 * llama.parameters == 13_476_831_232
    # Keys and values of a token, in bf16: half a mebibyte.
    assert 2 * llama.layers * llama.seen == 2**19


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "mixtral", "num_local_experts": 8}, "mixture of experts"),
        ({"model_type": "qwen2_moe", "num_experts": 60}, "mixture of experts"),
        ({"model_type": "mamba"}, "family 'mamba'"),
        ({"model_type": "llama", "hidden_size": 8}, "intermediate_size"),
        ({"model_type": "llama", **tiny.FAMILIES["llama"], "quantization_config": {"bits": 4}}, "quantised"),
        ({}, "family 'None'"),
    ],
)
def test_what_is_not_known_is_said(config: dict, said: str) -> None:
    with pytest.raises(BaseRefused, match=said):
        shape_of(config, "it")
