import pytest
import torch

from headstart.errors import BaseRefused
from headstart.lm.sites import Site, blocks_of, find_sites, layer_of
from headstart.lm.tiny import FAMILIES, tiny_model
from headstart.terms import ALL_LINEAR
from tests.lm.odd import ROUTED, SEEING, odd_model


@pytest.mark.parametrize("family", FAMILIES)
def test_all_linear_is_every_linear_of_every_layer_and_not_the_head(family: str) -> None:
    model = tiny_model(family)
    head = model.get_output_embeddings()
    sites = find_sites(model, ALL_LINEAR)
    assert not any(model.get_submodule(name) is head for name in sites)
    assert {layer_of(name) for name in sites} == {0, 1, 2, 3}
    assert find_sites(model, (ALL_LINEAR,)) == sites


def test_a_target_is_the_end_of_a_module_s_name() -> None:
    sites = find_sites(tiny_model("llama"), ["q_proj", "mlp.down_proj"])
    assert sites["model.layers.2.self_attn.q_proj"] == Site(32, 32)
    assert sites["model.layers.0.mlp.down_proj"] == Site(48, 32)
    assert len(sites) == 8


def test_widths_of_transposed_linears_are_told_the_right_way_round() -> None:
    sites = find_sites(tiny_model("gpt2"), ["c_attn"])
    assert set(sites.values()) == {Site(32, 96)}


def test_a_target_is_never_the_middle_of_a_word() -> None:
    with pytest.raises(BaseRefused, match="'proj'"):
        find_sites(tiny_model("llama"), ["proj"])


def test_an_unknown_target_is_told_the_names_there_are_and_the_nearest() -> None:
    with pytest.raises(BaseRefused) as refusal:
        find_sites(tiny_model("llama"), ["q_proj", "v_prj"])
    assert "'v_prj'" in str(refusal.value)
    assert "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj" in str(refusal.value)
    assert "Nearest: v_proj" in str(refusal.value)


def test_layers_choose_among_the_targets() -> None:
    sites = find_sites(tiny_model("llama"), ["q_proj"], layers=[1, 3])
    assert list(sites) == ["model.layers.1.self_attn.q_proj", "model.layers.3.self_attn.q_proj"]


@pytest.mark.parametrize("layers", [[9], [0, 9], [-1]])
def test_a_layer_that_is_not_there_is_refused(layers: list[int]) -> None:
    with pytest.raises(BaseRefused, match="layers are 0 to 3"):
        find_sites(tiny_model("llama"), ["q_proj"], layers)


@pytest.mark.parametrize(("name", "layer"), [("model.layers.12.mlp.up_proj", 12), ("transformer.h.0.attn.c_attn", 0), ("lm_head", None)])
def test_the_layer_is_read_from_the_name(name: str, layer: int | None) -> None:
    assert layer_of(name) == layer


@pytest.mark.parametrize("family", ROUTED)
def test_a_router_is_no_site(family: str) -> None:
    model = odd_model(family)
    assert any("router" in name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear))
    assert not any("router" in name for name in find_sites(model, ALL_LINEAR))


def test_a_linear_with_a_forward_of_its_own_that_does_the_same_is_a_site() -> None:
    sites = find_sites(odd_model("falcon"), ALL_LINEAR)
    assert {name.rpartition(".")[2] for name in sites} == {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"}
    assert {layer_of(name) for name in sites} == {0, 1, 2, 3}


@pytest.mark.parametrize("family", SEEING)
@pytest.mark.parametrize("targets", [ALL_LINEAR, ("q_proj", "v_proj")])
def test_what_reads_images_has_no_sites(family: str, targets: str | tuple[str, ...]) -> None:
    model = odd_model(family)
    assert any("vision_tower" in name for name, module in model.named_modules() if name.endswith("q_proj"))
    sites = find_sites(model, targets)
    assert {name.partition(".layers.")[0] for name in sites} == {"model.language_model"}
    assert {layer_of(name) for name in sites} == {0, 1, 2, 3}
    assert len(blocks_of(model)) == 4


def test_a_linear_of_what_reads_images_alone_is_not_found_by_name() -> None:
    with pytest.raises(BaseRefused, match="No linear of Gemma3ForConditionalGeneration is named 'fc1'"):
        find_sites(odd_model("gemma3"), ("fc1",))
