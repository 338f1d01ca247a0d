"""Rows that join, read, grow and leave, in passes of both kinds, against reading each anew."""

import random
from collections.abc import Callable
from functools import partial

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from headstart.bank import Bank, fill
from headstart.lm import places as module
from headstart.lm.graft import Grafted
from headstart.lm.hooked import Hooked
from headstart.lm.packed import SHORT, Packed, fits
from headstart.lm.places import Places, Turn
from tests.conftest import next_logits
from tests.lm.odd import ODD

SMALL = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "head_dim": 8,
}
SHAPED: dict[str, Callable[[], PretrainedConfig]] = {
    "llama": lambda: LlamaConfig(**SMALL, attention_bias=True, mlp_bias=True),
    "llama 3, long": lambda: LlamaConfig(
        **SMALL,
        rope_scaling={
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        },
    ),
    "mistral": lambda: MistralConfig(**SMALL, sliding_window=None),
    "qwen2": lambda: Qwen2Config(**SMALL),
    "qwen3": lambda: Qwen3Config(**SMALL),
}
OTHERS: dict[str, Callable[[], PretrainedConfig]] = {
    "mistral, a window": lambda: MistralConfig(**SMALL, sliding_window=5),
    "gemma 3, some windows": lambda: Gemma3TextConfig(
        **SMALL, sliding_window=4, layer_types=["sliding_attention", "full_attention", "sliding_attention"]
    ),
    **{family: lambda family=family: AutoConfig.for_model(family, **ODD[family]) for family in ("falcon", "gptj", "mpt", "phimoe")},
    "llama 4, some chunks": lambda: AutoConfig.for_model("llama4_text", **ODD["llama4_text"] | {"attention_chunk_size": 4}),
}
FAST = partial(Packed, fast=True)
CASES = [(name, kind) for kind in (Packed, FAST, Hooked) for name in (SHAPED | OTHERS if kind is Hooked else SHAPED)]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}, {getattr(case[1], '__name__', 'fast')}")
def case(request: pytest.FixtureRequest) -> tuple[Grafted, Packed | Hooked]:
    name, kind = request.param
    torch.manual_seed(0)
    net = Grafted(AutoModelForCausalLM.from_config((SHAPED | OTHERS)[name]()), "all-linear")
    return net, kind(net)


def filled(net: Grafted) -> Bank:
    """Four adapters of some sites, that change every answer."""
    bank = fill({name: w for name, w in net.blank(0).items() if "k_proj" not in name}, 4)
    chance = torch.Generator().manual_seed(1)
    return {
        name: w if name.endswith("A") else 0.5 * torch.randn(w.shape, generator=chance) * (w[:, :1, :1] == 0) for name, w in bank.items()
    }


def test_rows_of_all_kinds_in_one_pass_have_the_logits_they_have_alone(case: tuple[Grafted, Packed | Hooked]) -> None:
    net, read = case
    bank, rng, places = filled(net), random.Random(0), Places()
    zero = {name: w.index_fill(0, torch.tensor([0]), 0.0) for name, w in bank.items()}
    rows: list[tuple[int, list[int], list[int]]] = []
    with torch.inference_mode():
        for turn in range(50):
            if len(rows) < 6 and rng.random() < 0.5:
                places.join([], 0)
                rows.append((rng.randrange(5), [], [rng.randrange(50) for _ in range(rng.randint(1, 30))]))
            if rows and rng.random() < 0.2:
                gone = rng.randrange(len(rows))
                places.leave(gone)
                rows[gone] = rows[-1]
                rows.pop()
            turns = []
            for i, (slot, done, todo) in enumerate(rows):
                if rng.random() < 0.2:
                    continue
                todo += [] if todo else [rng.randrange(50)]
                new = todo[: rng.choice((1, 2, 5, SHORT, SHORT + 1, 14))]
                turns.append(Turn(i, slot, new, f"adapter {slot}"))
                del todo[: len(new)]
                done += new
            if turns:
                rng.shuffle(turns)
                for it, its in zip(turns, read(places, zero, turns), strict=True):
                    assert torch.allclose(its, next_logits(net, zero, it.slot, rows[it.row][1]), atol=1e-5), turn
    assert places.lengths == [len(done) for _, done, _ in rows]


def test_what_was_kept_of_a_row_begins_another(case: tuple[Grafted, Packed | Hooked]) -> None:
    net, read = case
    places, tokens = Places(), [3, 1, 4, 1, 5, 9, 2, 6]
    with torch.inference_mode():
        places.join([], 0)
        read(places, {}, [Turn(0, 0, tokens)])
        kept = places.copy(0, 8)
        assert places.join(kept, 5) == 1
        # What another has read is as good as what was kept of it.
        assert [places.fork(0, 5), places.fork(1, 5)] == [2, 3]
        logits = read(places, {}, [Turn(row, 0, [7, 7]) for row in (1, 2, 3)])
    assert torch.allclose(logits, next_logits(net, {}, 0, [*tokens[:5], 7, 7]), atol=1e-5)
    assert places.taken(8) == sum(part.numel() * part.element_size() for pair in kept for part in pair)


@pytest.mark.parametrize("size", [0, 1 << 30])
def test_what_is_kept_is_one_piece_that_outlives_its_row(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_APART", size)
    places, drawn = Places(), torch.randn(3, 2, 1, 2, 9, 4).to(torch.bfloat16)
    places.join([], 0)
    for layer, (keys, values) in enumerate(drawn):
        for store, its in zip(places.room(layer, keys, values, 9), (keys, values), strict=True):
            store[0, :, :9] = its[0]
    kept = places.copy(0, 7)
    places.clear()
    assert torch.equal(torch.stack([torch.stack(pair) for pair in kept]), drawn[:, :, 0, :, :7])
    assert len({part.untyped_storage().data_ptr() for pair in kept for part in pair}) == 1


def test_room_that_grows_fits_those_that_are_there(case: tuple[Grafted, Packed | Hooked]) -> None:
    net, read = case
    places, tokens = Places(), [rng % 50 for rng in range(90)]
    with torch.inference_mode():
        for _ in range(5):
            places.join([], 0)
        read(places, {}, [Turn(i, 0, tokens[i : i + 9 + i]) for i in range(5)])
        assert places.size(5, 13) == places.bytes
        for _ in range(4):
            places.leave(0)
        # The second of five has the first's place in the end.
        told = read(places, {}, [Turn(0, 0, tokens)])
        assert torch.allclose(told[0], next_logits(net, {}, 0, [*tokens[1:11], *tokens]), atol=1e-5)
        assert places.bytes == places.size(1, 128) == places.size(8, 16) // 4
        places.leave(0)
        for _ in range(3):
            places.join([], 0)
        told = read(places, {}, [Turn(2, 0, [3, 1, 4]), Turn(1, 0, [1])])
        assert torch.allclose(told, torch.stack([next_logits(net, {}, 0, [3, 1, 4]), next_logits(net, {}, 0, [1])]), atol=1e-5)
        assert places.bytes == places.size(3, 1)
        places.clear()
    assert (places.bytes, places.lengths) == (0, [])


def test_what_follows_is_told_behind_as_many_tokens_as_are_wanted(case: tuple[Grafted, Packed | Hooked]) -> None:
    net, read = case
    places, bank, asked = Places(2, 8), filled(net), ([3, 1, 4, 1], [5], [9, 2, 6])
    with torch.inference_mode():
        for _ in asked:
            places.join([], 0)
        told = read(places, bank, [Turn(i, i, tokens, str(i), min(2, len(tokens))) for i, tokens in enumerate(asked)])
    wanted = [next_logits(net, bank, 0, asked[0][:3]), *(next_logits(net, bank, i, tokens) for i, tokens in enumerate(asked))]
    assert torch.allclose(told, torch.stack([*wanted[:3], next_logits(net, bank, 2, asked[2][:2]), wanted[3]]), atol=1e-5)


def test_another_content_in_the_same_slot_is_seen(case: tuple[Grafted, Packed | Hooked]) -> None:
    net, read = case
    places, bank = Places(), filled(net)
    with torch.inference_mode():
        for content in ("old", "new"):
            places.join([], 0)
            row = len(places.lengths) - 1
            assert torch.allclose(
                read(places, bank, [Turn(row, 2, [3, 1, 4], content)])[0], next_logits(net, bank, 2, [3, 1, 4]), atol=1e-5
            )
            for w in bank.values():
                w[2] *= -2


def test_what_overflows_under_one_adapter_is_not_seen_under_another(case: tuple[Grafted, Packed | Hooked]) -> None:
    net, read = case
    places, bank = Places(), filled(net)
    for name, w in bank.items():
        w[2] *= 1e30 if name.endswith("A") else 0
    with torch.inference_mode():
        for row in (1, 2):
            places.join([], 0)
            its = read(places, bank, [Turn(i, i + 1, [3 + i, 1] if i == row - 1 else [4], str(i)) for i in range(row)])
    assert torch.allclose(its[0], next_logits(net, bank, 1, [3, 1, 4]), atol=1e-5)


@pytest.mark.parametrize("name", SHAPED | OTHERS)
def test_models_of_llama_s_shape_are_known(name: str) -> None:
    net = Grafted(AutoModelForCausalLM.from_config((SHAPED | OTHERS)[name]()), "all-linear")
    assert fits(net) is (name in SHAPED)


@pytest.mark.parametrize("name", SHAPED)
def test_one_linear_with_a_forward_of_its_own_is_not_read_as_a_plain_one(name: str) -> None:
    net = Grafted(AutoModelForCausalLM.from_config(SHAPED[name]()), "all-linear")
    quantised = net.model.get_submodule("model.layers.1.mlp.up_proj")
    net.model.model.layers[1].mlp.up_proj = type("Quantised", (type(quantised),), {})(32, 48, bias=False)
    assert not fits(net)
