"""Rows that join and leave, against a cache that each has for itself."""

import random
from collections.abc import Callable

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma3TextConfig, LlamaConfig, MistralConfig, PretrainedConfig, Qwen2Config
from transformers.cache_utils import DynamicCache

from headstart.lm.graft import Grafted
from headstart.lm.places import Places

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
CONFIGS: dict[str, Callable[[], PretrainedConfig]] = {
    "llama": lambda: LlamaConfig(**SMALL),
    "qwen2": lambda: Qwen2Config(**SMALL),
    "mistral, a window": lambda: MistralConfig(**SMALL, sliding_window=5),
    "gemma 3, some windows": lambda: Gemma3TextConfig(
        **SMALL, sliding_window=4, layer_types=["sliding_attention", "full_attention", "sliding_attention"]
    ),
}


@pytest.fixture(params=CONFIGS)
def net(request: pytest.FixtureRequest) -> Grafted:
    torch.manual_seed(0)
    return Grafted(AutoModelForCausalLM.from_config(CONFIGS[request.param]()), "all-linear")


def alone(net: Grafted, tokens: list[int]) -> torch.Tensor:
    """Logits behind the last token, everything read at once."""
    ids = torch.tensor([tokens])
    with torch.inference_mode():
        return net.step({}, torch.tensor([0]), ids, torch.ones_like(ids), DynamicCache(config=net.model.config))[0]


def test_rows_that_join_grow_and_leave_have_the_logits_they_have_alone(net: Grafted) -> None:
    rng, places = random.Random(0), Places(net)
    rows: list[list[int]] = []
    with torch.inference_mode():
        for turn in range(60):
            if len(rows) < 5 and rng.random() < 0.4:
                tokens, read = [rng.randrange(50) for _ in range(rng.randint(2, 20))], Places(net)
                read.join([], 0)
                half = len(tokens) // 2
                read.feed({}, [0], 0, [tokens[:half]], logits=False)
                logits = read.feed({}, [0], 0, [tokens[half:]])
                assert torch.allclose(logits[0], alone(net, tokens), atol=1e-5)
                places.join(read.copy(0, len(tokens)), len(tokens))
                rows.append(tokens)
            if rows and rng.random() < 0.2:
                gone = rng.randrange(len(rows))
                assert places.leave(gone) == len(rows) - 1
                rows[gone] = rows[-1]
                rows.pop()
            if rows:
                for row in rows:
                    row.append(rng.randrange(50))
                logits = places.feed({}, [0] * len(rows), 0, [[row[-1]] for row in rows])
                for row, its in zip(rows, logits, strict=True):
                    assert torch.allclose(its, alone(net, row), atol=1e-5), turn
    assert places.lengths == [len(row) for row in rows]


def test_what_was_kept_of_a_row_begins_another(net: Grafted) -> None:
    places, tokens = Places(net), [3, 1, 4, 1, 5, 9, 2, 6]
    with torch.inference_mode():
        places.join([], 0)
        places.feed({}, [0], 0, [tokens])
        kept = places.copy(0, 8)
        assert places.join(kept, 5) == 1
        logits = places.feed({}, [0], 1, [[7, 7]])
    assert torch.allclose(logits[0], alone(net, [*tokens[:5], 7, 7]), atol=1e-5)
