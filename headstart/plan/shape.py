"""What a config says of a model's shape, without building it: every parameter counted, every linear named.

`tests/plan/test_shape.py` holds each family against the model that transformers builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from headstart.errors import BaseRefused

GATED = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2")
"""Families with separate q, k, v and a gated MLP of three linears."""
FAMILIES = (*GATED, "phi3", "gpt2", "gpt_neox")
"""Model types whose every parameter is known here."""


@final
@dataclass(frozen=True)
class Linear:
    """One linear of every layer."""

    name: str
    """Within the layer."""
    width_in: int
    width_out: int
    bias: bool = False

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.width_in * self.width_out + self.width_out * self.bias


@final
@dataclass(frozen=True)
class Shape:
    """A causal language model's sizes."""

    family: str
    layers: int
    width: int
    inner: int
    """Of the MLP."""
    heads: int
    groups: int
    """Heads of keys and values."""
    head: int
    """Width of one head."""
    vocabulary: int
    context: int
    window: int | None
    """Tokens that a layer sees at most; None: all."""
    tied: bool
    """Whether the embedding is the output head too."""
    linears: tuple[Linear, ...]
    """Of one layer, in the model's own order."""
    beside: int
    """Parameters of one layer that are in no linear."""
    outside: int
    """Parameters outside the layers, embedding and head not counted."""

    @property
    def parameters(self) -> int:
        """All of them; a tied head is counted once."""
        tables = self.width * self.vocabulary * (1 if self.tied else 2)
        return tables + self.outside + self.layers * (self.beside + sum(it.parameters for it in self.linears))

    @property
    def rms(self) -> bool:
        """Whether its norms divide by the root mean square alone, and take no mean away."""
        return self.family not in ("gpt2", "gpt_neox")

    @property
    def seen(self) -> int:
        """Keys and values of a token in one layer, in numbers."""
        return 2 * self.groups * self.head


def shape_of(config: Mapping[str, Any], named: str) -> Shape:
    """Read a `config.json`.

    Args:
        config: as it was parsed.
        named: what to call the model in an error.

    Raises:
        BaseRefused: a family that is not known here, experts among its layers, or a size that is missing.
    """
    family = config.get("model_type")
    if any(key in config for key in ("num_experts", "num_local_experts", "n_routed_experts")):
        raise BaseRefused(f"'{named}' is a mixture of experts ({family}): what its steps take is not known here, so nothing is forecast.")
    if family not in FAMILIES:
        raise BaseRefused(f"'{named}' is of the family '{family}', which cannot be forecast; those that can: {', '.join(FAMILIES)}.")
    if config.get("quantization_config"):
        raise BaseRefused(f"'{named}' is quantised ('quantization_config'): packed bases are not forecast. Plan the one it was made from.")
    try:
        shape = _gpt2(config) if family == "gpt2" else _neox(config) if family == "gpt_neox" else _rope(config)
    except (KeyError, TypeError) as error:
        raise BaseRefused(f"The config of '{named}' says nothing usable of {error}: it is no whole config.json.") from error
    except (ValueError, ArithmeticError) as error:
        raise BaseRefused(f"The config of '{named}' has a size that is none ({error}): it is no whole config.json.") from error
    if min(shape.layers, shape.width, shape.inner, shape.heads, shape.groups, shape.head, shape.vocabulary, shape.context) < 1:
        raise BaseRefused(f"The config of '{named}' has a size below 1.")
    return shape


def _rope(config: Mapping[str, Any]) -> Shape:
    """Llama and what descends from it."""
    family, width, inner, heads = (
        config["model_type"],
        *(int(config[k]) for k in ("hidden_size", "intermediate_size", "num_attention_heads")),
    )
    groups = int(config.get("num_key_value_heads") or heads)
    head = int(config.get("head_dim") or width // heads) if family != "phi3" else width // heads
    asks, seen = heads * head, groups * head
    biased, out_bias = bool(config.get("attention_bias", family == "qwen2")), bool(config.get("attention_bias")) and family != "qwen2"
    mlp_bias = bool(config.get("mlp_bias"))
    linears: tuple[Linear, ...]
    if family == "phi3":
        linears = (
            Linear("self_attn.o_proj", asks, width),
            Linear("self_attn.qkv_proj", width, asks + 2 * seen),
            Linear("mlp.gate_up_proj", width, 2 * inner),
            Linear("mlp.down_proj", inner, width),
        )
    else:
        linears = (
            Linear("self_attn.q_proj", width, asks, biased),
            Linear("self_attn.k_proj", width, seen, biased),
            Linear("self_attn.v_proj", width, seen, biased),
            Linear("self_attn.o_proj", asks, width, out_bias),
            Linear("mlp.gate_proj", width, inner, mlp_bias),
            Linear("mlp.up_proj", width, inner, mlp_bias),
            Linear("mlp.down_proj", inner, width, mlp_bias),
        )
    beside = width * (4 if family == "gemma2" else 2) + (2 * head if family == "qwen3" else 0)
    tied = bool(config.get("tie_word_embeddings", family.startswith("gemma")))
    return Shape(
        family=family,
        layers=int(config["num_hidden_layers"]),
        width=width,
        inner=inner,
        heads=heads,
        groups=groups,
        head=head,
        vocabulary=int(config["vocab_size"]),
        context=int(config.get("max_position_embeddings") or 2048),
        window=_window(config),
        tied=tied,
        linears=linears,
        beside=beside,
        outside=width,
    )


def _window(config: Mapping[str, Any]) -> int | None:
    """Of Qwen's configs, the window counts only where it is switched on."""
    on = config.get("use_sliding_window", not str(config["model_type"]).startswith("qwen"))
    return int(config["sliding_window"]) if on and config.get("sliding_window") else None


def _gpt2(config: Mapping[str, Any]) -> Shape:
    width, heads, places = int(config["n_embd"]), int(config["n_head"]), int(config["n_positions"])
    inner = int(config.get("n_inner") or 4 * width)
    linears = (
        Linear("attn.c_attn", width, 3 * width, True),
        Linear("attn.c_proj", width, width, True),
        Linear("mlp.c_fc", width, inner, True),
        Linear("mlp.c_proj", inner, width, True),
    )
    layers, tied, vocabulary = int(config["n_layer"]), bool(config.get("tie_word_embeddings", True)), int(config["vocab_size"])
    beside, outside = 4 * width, places * width + 2 * width
    return Shape("gpt2", layers, width, inner, heads, heads, width // heads, vocabulary, places, None, tied, linears, beside, outside)


def _neox(config: Mapping[str, Any]) -> Shape:
    width, inner, heads = (int(config[k]) for k in ("hidden_size", "intermediate_size", "num_attention_heads"))
    biased = bool(config.get("attention_bias", True))
    linears = (
        Linear("attention.query_key_value", width, 3 * width, biased),
        Linear("attention.dense", width, width, biased),
        Linear("mlp.dense_h_to_4h", width, inner, True),
        Linear("mlp.dense_4h_to_h", inner, width, True),
    )
    layers, context = int(config["num_hidden_layers"]), int(config.get("max_position_embeddings") or 2048)
    tied, vocabulary = bool(config.get("tie_word_embeddings", False)), int(config["vocab_size"])
    return Shape(
        "gpt_neox", layers, width, inner, heads, heads, width // heads, vocabulary, context, None, tied, linears, 4 * width, 2 * width
    )
