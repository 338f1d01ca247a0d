import pytest

from headstart.errors import BaseRefused
from headstart.lm.sites import ALL_LINEAR, Site, find_sites, layer_of
from headstart.lm.tiny import FAMILIES, tiny_model


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
