"""PEFT folders: peft computes with ours what we do, we compute with peft's what it does, and the rest is refused in full."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import peft as real
import pytest
import torch
from safetensors.torch import load_file, save_file

from headstart.adapters import peft
from headstart.bank import Weights, blank, put, sites_of
from headstart.errors import AdapterRefused
from headstart.lm.batch import Batch, Encoded
from headstart.lm.graft import Grafted
from headstart.lm.tiny import tiny_model

# peft still asks transformers for this by its former name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

SITE = "model.layers.0.self_attn.q_proj"
BATCH = Batch.of([Encoded((5, 9, 14), (3, 8, 21)), Encoded((7,), (77, 200))])


def drawn(net: Grafted, seed: int = 1) -> Weights:
    """An adapter with a B that matters."""
    rng = torch.Generator().manual_seed(seed)
    return {name: torch.randn(w.shape, generator=rng) * 0.3 for name, w in net.blank(0).items()}


def ours(family: str, weights: Weights) -> torch.Tensor:
    """Logits at the batch's targets through a bank."""
    net = Grafted(tiny_model(family), sites_of(weights))
    bank = blank(weights, 1)
    put(bank, 1, weights)
    return net(bank, torch.tensor([1, 1]), BATCH)


def theirs(model: torch.nn.Module) -> torch.Tensor:
    """Logits at the same targets from a whole model."""
    with torch.no_grad():
        return model(input_ids=BATCH.tokens).logits[BATCH.owner, BATCH.place]


def assert_bends_alike(family: str, weights: Weights, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(ours(family, weights), wanted, rtol=1e-4, atol=1e-4)
    assert (wanted - theirs(tiny_model(family))).abs().max() > 0.1, "an adapter that changes nothing proves nothing"


UPPER = (2, 3)
CASES = [
    ("llama", ("q_proj", "v_proj"), None),
    ("llama", "all-linear", UPPER),
    ("qwen3", ("q_proj", "v_proj"), None),
    ("qwen3", "all-linear", UPPER),
    ("gpt2", ("c_attn",), None),
    ("gpt2", "all-linear", UPPER),
    # The config names linears by their last word, so peft also makes a blank LoRA at attn.c_proj, and says that it is blank.
    pytest.param("gpt2", ("mlp.c_proj",), (1, 3), marks=pytest.mark.filterwarnings("ignore:Found missing adapter keys:UserWarning")),
]


@pytest.mark.parametrize(("family", "targets", "layers"), CASES)
def test_what_we_write_peft_reads_to_the_same_logits(tmp_path: Path, family: str, targets: Any, layers: Any) -> None:
    net = Grafted(tiny_model(family), targets, layers)
    peft.write(tmp_path, drawn(net), base="some/base", layers=4)
    weights, config = peft.read(tmp_path)
    assert config["base_model_name_or_path"] == "some/base"
    model = real.PeftModel.from_pretrained(tiny_model(family), tmp_path)
    bent = {name.split("base_model.model.")[1].split(".lora_A")[0] for name, _ in model.named_modules() if name.endswith("lora_A.default")}
    assert set(net.sites) <= bent
    assert_bends_alike(family, weights, theirs(model))


def test_the_settings_are_those_that_every_engine_reads_alike(tmp_path: Path) -> None:
    # A file that is read back gives its tensors in any order.
    anyhow = dict(reversed(drawn(Grafted(tiny_model("llama"), "all-linear", UPPER, 4)).items()))
    peft.write(tmp_path, anyhow, base="b", layers=4)
    config = json.loads((tmp_path / peft.CONFIG).read_text())
    assert (config["r"], config["lora_alpha"], config["use_rslora"], config["use_dora"], config["bias"]) == (4, 4, False, False, "none")
    assert isinstance(config["lora_alpha"], int)
    assert config["modules_to_save"] is None
    assert config["layers_to_transform"] == list(UPPER)
    assert not {"rank_pattern", "alpha_pattern"} & set(config)
    tensors = load_file(tmp_path / peft.WEIGHTS)
    assert {t.dtype for t in tensors.values()} == {torch.float16}
    assert tensors["base_model.model.model.layers.2.mlp.gate_proj.lora_A.weight"].shape == (4, 32)


def test_write_read_write_is_identity(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    peft.write(first, drawn(Grafted(tiny_model("llama"))), base="b", layers=4)
    peft.write(second, peft.read(first)[0], base="b", layers=4)
    for name in (peft.CONFIG, peft.WEIGHTS):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_mixed_ranks_are_written_at_the_largest(tmp_path: Path) -> None:
    narrow, wide = (drawn(Grafted(tiny_model("llama"), ("q_proj",), (layer,), rank)) for layer, rank in ((0, 2), (1, 5)))
    mixed = narrow | wide
    peft.write(tmp_path, mixed, base="b", layers=4)
    weights, config = peft.read(tmp_path)
    assert config["r"] == 5
    assert_bends_alike("llama", weights, ours("llama", {name: w.half().float() for name, w in mixed.items()}))


def test_weights_that_fp16_cannot_hold_are_refused(tmp_path: Path) -> None:
    weights = drawn(Grafted(tiny_model("llama")))
    weights[f"{SITE}.lora_B"][0, 0] = 1e6
    with pytest.raises(AdapterRefused, match="fp16 cannot hold"):
        peft.write(tmp_path, weights, base="b", layers=4)


THEIRS = {
    "alpha": {"r": 4, "lora_alpha": 10, "target_modules": ["q_proj", "v_proj"]},
    "rslora": {"r": 6, "lora_alpha": 9, "use_rslora": True, "target_modules": "all-linear"},
    "some layers": {"r": 2, "lora_alpha": 3, "target_modules": ["up_proj"], "layers_to_transform": [1, 3]},
    "patterns": {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["q_proj", "v_proj", "down_proj"],
        "rank_pattern": {"q_proj": 2, "layers.1.mlp.down_proj": 7},
        "alpha_pattern": {"v_proj": 3, r"layers\.[23]\.self_attn\.q_proj": 5},
    },
    "patterns under rslora": {
        "r": 4,
        "lora_alpha": 8,
        "use_rslora": True,
        "target_modules": ["q_proj"],
        "rank_pattern": {"layers.0.self_attn.q_proj": 9},
        "alpha_pattern": {"layers.3.self_attn.q_proj": 1},
    },
}


def by_peft(folder: Path, **settings: Any) -> torch.nn.Module:
    """An adapter that peft itself made and saved, with a B that matters."""
    torch.manual_seed(0)
    model = real.get_peft_model(tiny_model("llama"), real.LoraConfig(task_type="CAUSAL_LM", **settings))
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize("case", THEIRS)
def test_what_peft_writes_we_read_to_the_same_logits(tmp_path: Path, case: str) -> None:
    model = by_peft(tmp_path, **THEIRS[case])
    assert_bends_alike("llama", peft.read(tmp_path)[0], theirs(model))


def test_a_scale_folds_into_fp16_weights_without_loss(tmp_path: Path) -> None:
    half = {f"{SITE}.lora_A": torch.full((3, 32), 0.1).half(), f"{SITE}.lora_B": torch.full((32, 3), 3e4).half()}
    by_hand(tmp_path, half, r=3, lora_alpha=7)
    weights = peft.read(tmp_path)[0]
    assert weights[f"{SITE}.lora_B"].dtype == torch.float32
    torch.testing.assert_close(weights[f"{SITE}.lora_B"], half[f"{SITE}.lora_B"].float() * 7 / 3)


def by_hand(folder: Path, weights: Weights | None = None, **settings: Any) -> Path:
    """A PEFT folder with any settings at all; a sound one without."""
    folder.mkdir(exist_ok=True)
    sound = {f"{SITE}.lora_A": torch.ones(2, 32), f"{SITE}.lora_B": torch.ones(32, 2)}
    save_file({f"base_model.model.{name}.weight": w for name, w in (weights or sound).items()}, folder / peft.WEIGHTS)
    (folder / peft.CONFIG).write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 2} | settings))
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(AdapterRefused) as refused:
        peft.read(folder)
    return str(refused.value)


def test_a_sound_folder_made_by_hand_is_read(tmp_path: Path) -> None:
    assert set(peft.read(by_hand(tmp_path))[0]) == {f"{SITE}.lora_A", f"{SITE}.lora_B"}


def test_all_that_a_bank_cannot_express_is_refused_at_once(tmp_path: Path) -> None:
    told = refusal(
        by_hand(
            tmp_path / "odd",
            {"model.embed_tokens.lora_embedding_A": torch.ones(2, 258), f"{SITE}.lora_magnitude_vector": torch.ones(32)},
            peft_type="LOHA",
            use_dora=True,
            bias="all",
            modules_to_save=["lm_head"],
        )
    )
    for fault in (
        "'odd'",
        "use_dora=True",
        "bias='all'",
        "modules_to_save=['lm_head']",
        "lora_embedding_A",
        "lora_magnitude_vector",
        "peft_type='LOHA'",
    ):
        assert fault in told


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers` to `True`:UserWarning")
@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"bias": "lora_only"}, "bias='lora_only'"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"target_modules": ["q_proj", "embed_tokens"]}, "lora_embedding_A"),
    ],
    ids=["dora", "bias", "saved modules", "embedding"],
)
def test_what_peft_really_saves_beyond_lora_is_refused(tmp_path: Path, settings: dict[str, Any], fault: str) -> None:
    by_peft(tmp_path, **{"r": 2, "target_modules": ["q_proj"]} | settings)
    assert fault in refusal(tmp_path)


@pytest.mark.parametrize("key", ["lora_A", "lora_B"])
def test_half_a_site_is_refused(tmp_path: Path, key: str) -> None:
    assert f"{SITE} without its {'lora_B' if key == 'lora_A' else 'lora_A'}" in refusal(
        by_hand(tmp_path, {f"{SITE}.{key}": torch.ones(2, 2)})
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"r": 3},
        {"r": 0},
        {"r": "2"},
        {"r": None},
        {"lora_alpha": None},
        {"lora_alpha": "much"},
        {"rank_pattern": [4]},
        {"rank_pattern": {"q_proj": 4}},
        {"alpha_pattern": {"(": 4}},
        {"alpha_pattern": {"q_proj": "much"}},
        {"lora_alpha": 10**400},
    ],
    ids=lambda it: str(it)[:40],
)
def test_ranks_and_scales_that_make_no_sense_are_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    assert "no plain LoRA" in refusal(by_hand(tmp_path, **settings))


def test_no_weights_at_all_are_refused(tmp_path: Path) -> None:
    save_file({}, by_hand(tmp_path) / peft.WEIGHTS)
    assert "no weights" in refusal(tmp_path)


def test_weights_of_no_rank_are_refused(tmp_path: Path) -> None:
    none = {f"{SITE}.lora_A": torch.ones(0, 32), f"{SITE}.lora_B": torch.ones(32, 0)}
    assert "no plain LoRA" in refusal(by_hand(tmp_path, none, r=0))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "\xff"])
def test_a_config_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (by_hand(tmp_path) / peft.CONFIG).write_bytes(text.encode("latin-1"))
    assert peft.CONFIG in refusal(tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    assert f"has no {peft.CONFIG}" in refusal(tmp_path)
    (by_hand(tmp_path) / peft.WEIGHTS).unlink()
    assert f"has no {peft.WEIGHTS}" in refusal(tmp_path)


@pytest.mark.parametrize("size", [0, 4, 100, -10])
def test_truncated_weights_are_refused(tmp_path: Path, size: int) -> None:
    file = by_hand(tmp_path) / peft.WEIGHTS
    file.write_bytes(file.read_bytes()[:size])
    assert "broken" in refusal(tmp_path)


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["adapter_model.bin", peft.WEIGHTS])
def test_a_pickle_is_refused_and_never_run(tmp_path: Path, name: str) -> None:
    (by_hand(tmp_path) / peft.WEIGHTS).unlink()
    (tmp_path / name).write_bytes(pickle.dumps(Trap(tmp_path / "mark")))
    assert ("a pickle" if name.endswith(".bin") else "broken") in refusal(tmp_path)
    assert not (tmp_path / "mark").exists()
