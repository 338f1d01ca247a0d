"""PEFT folders, in and out: `adapter_config.json` beside `adapter_model.safetensors`.

Written with the settings that every engine reads alike: one rank, alpha equal to it (so the scale is 1, as in the bank),
no rsLoRA. Read with more: per-module ranks and scales and rsLoRA fold into B; what cannot is refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from headstart.adapters.record import legible
from headstart.bank import Weights, rank_axis, sites_of
from headstart.errors import AdapterRefused

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_EXPRESSIBLE: dict[str, tuple[Any, ...]] = {
    "use_dora": (False, None),
    "bias": ("none", None),
    "lora_bias": (False, None),
    "modules_to_save": (None, []),
    "layer_replication": (None, []),
    "trainable_token_indices": (None, [], {}),
    "target_parameters": (None, []),
    "alora_invocation_tokens": (None, []),
    "use_qalora": (False, None),
    "arrow_config": (None,),
}
"""Settings that change what a LoRA computes, and the values at which they change nothing."""
_MOVING = ("pissa", "olora", "corda", "lora_ga", "loftq")
"""How `init_lora_weights` begins where peft takes the first A and B out of the base, which is another one under them ever after."""

_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
"""What weights may be kept in; whole numbers would be taken at their word, and complex ones lose their half."""
_ZEROS = 1 << 32
"""That levelling ranks may add; an adapter of rank 256 for seventy billion weights has fewer numbers."""
_STEPS = 1.5e8
"""That looking for all patterns in all sites may take, at the most ten seconds."""


def write(folder: Path, weights: Weights, base: str, layers: int) -> None:
    """Write one adapter as fp16.

    Args:
        folder: exists; gets two files.
        weights: `site.lora_A` (rank, width_in) and `site.lora_B` (width_out, rank), scale folded into B.
        base: the base's id or path.
        layers: how many layers the base has; where fewer are bent, the config names those.

    Raises:
        AdapterRefused: a weight is not finite in fp16, or see `level`.
    """
    weights = level(weights)
    tensors = {f"{_PREFIX}{name}.weight": w for name, w in halves(weights).items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(_config(weights, base, layers), indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> tuple[Weights, dict[str, Any]]:
    """Read any PEFT LoRA folder: (weights in fp32 with the scale folded into B, the config as it stands).

    Raises:
        AdapterRefused: files missing, broken or pickled, or settings the bank cannot express: all of them at once.
    """
    try:
        return _read(folder)
    except RecursionError as error:
        raise AdapterRefused(f"The {CONFIG} of '{folder.name}' is nested too deeply to be read.") from error


def _read(folder: Path) -> tuple[Weights, dict[str, Any]]:
    config = _read_config(folder)
    tensors = _read_tensors(folder)
    faults = [f"{key}={config[key]!r}" for key, fine in _EXPRESSIBLE.items() if config.get(key) not in fine]
    strange = [key for key in tensors if not re.fullmatch(re.escape(_PREFIX) + r".+\.lora_[AB]\.weight", key)]
    faults += _first([f"tensor {key}" for key in strange], "tensors")
    faults += _first([f"tensor {key} of {it.dtype}" for key, it in tensors.items() if it.dtype not in _FLOATS], "such tensors")
    faults += ["no weights"] if not tensors else []
    faults += _moved_base(config)
    if config.get("peft_type") != "LORA":
        faults.append(f"peft_type={config.get('peft_type')!r}")
    names = {key.removeprefix(_PREFIX).removesuffix(".weight") for key in tensors} if not strange else set()
    sites = sorted(sites_of(names))
    faults += _first(
        [f"{it} without its {half}" for it in sites for half in ("lora_A", "lora_B") if f"{it}.{half}" not in names], "such sites"
    )
    try:
        told = _told(config, sites) if not faults else {}
        faults += _first(_rank_faults(told, tensors), "such sites")
        scales = {site: _scale(rank, alpha, config.get("use_rslora")) for site, (rank, alpha) in told.items()} if not faults else {}
    except (AttributeError, TypeError, ValueError, ArithmeticError, re.error) as error:
        faults.append(f"an r, lora_alpha or pattern that cannot be read ({error})")
    if faults:
        raise AdapterRefused(f"'{folder.name}' is no plain LoRA, and only those can be served from the bank: {'; '.join(faults)}.")
    weights = {key.removeprefix(_PREFIX).removesuffix(".weight"): t.float() for key, t in tensors.items()}
    return {name: w * scales[name.removesuffix(".lora_B")] if name.endswith("lora_B") else w for name, w in weights.items()}, config


def halves(weights: Weights) -> Weights:
    """An adapter as files hold it, in fp16.

    Raises:
        AdapterRefused: a weight is not finite then.
    """
    halved = {name: w.detach().to(torch.float16).contiguous().cpu() for name, w in weights.items()}
    lost = [name for name, w in halved.items() if not torch.isfinite(w).all()]
    if lost:
        raise AdapterRefused(
            f"The adapter has weights that fp16 cannot hold, in {', '.join(lost[:3])}: training diverged; use fewer --steps."
        )
    return halved


def rank_of(weights: Weights) -> int:
    """The largest rank among an adapter's sites."""
    return max(w.shape[rank_axis(name)] for name, w in weights.items())


def level(weights: Weights) -> Weights:
    """All sites at the largest rank among them: zeros change nothing, and one `r` is what every engine reads.

    Raises:
        AdapterRefused: the ranks are so far apart that hardly anything but zeros would be written.
    """
    rank = rank_of(weights)
    zeros = sum((rank - w.shape[rank_axis(name)]) * w.shape[1 - rank_axis(name)] for name, w in weights.items())
    if zeros > _ZEROS:
        raise AdapterRefused(
            f"The adapter's ranks are too far apart: at the largest, {rank}, which all of its sites are written at, it would take "
            f"{2 * zeros / 1e9:.1f} GB more."
        )

    def padded(axis: int, w: torch.Tensor) -> torch.Tensor:
        # `pad` is told of the last axis first.
        return torch.nn.functional.pad(w, (0, 0) * (1 - axis) + (0, rank - w.shape[axis]))

    return {name: padded(rank_axis(name), w) for name, w in weights.items()}


def _config(weights: Weights, base: str, layers: int) -> dict[str, Any]:
    sites, rank = sites_of(weights), rank_of(weights)
    bent = sorted({int(found[1]) for s in sites if (found := re.search(r"\.(\d+)\.", s))})
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_rslora": False,
        "use_dora": False,
        # GPT-2's transposed linears; PEFT corrects it by the module's class when it loads, this saves it the warning.
        "fan_in_fan_out": any(s.endswith(("c_attn", "c_fc", "c_proj")) for s in sites),
        "modules_to_save": None,
        "target_modules": sorted({s.rpartition(".")[2] if bent else s for s in sites}),
        "layers_to_transform": bent if len(bent) < layers else None,
        "inference_mode": True,
    }


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AdapterRefused(f"'{folder}' has no {CONFIG}: it is no PEFT adapter.") from error
    except (OSError, ValueError) as error:
        raise AdapterRefused(f"The {CONFIG} of '{folder.name}' cannot be read: {error}.") from error
    if not isinstance(config, dict):
        raise AdapterRefused(f"The {CONFIG} of '{folder.name}' is not a JSON object.")
    base = config.get("base_model_name_or_path")
    if base is not None and not (isinstance(base, str) and legible(base)):
        raise AdapterRefused(f"The {CONFIG} of '{folder.name}' names no base: {base!r}.")
    return config


def _read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / WEIGHTS
    if not path.is_file():
        pickled = next(iter([*folder.glob("*.bin"), *folder.glob("*.pt")]), None)
        if pickled is not None:
            raise AdapterRefused(
                f"'{folder.name}' holds its weights in {pickled.name}, a pickle, which could run code: "
                "save it as safetensors (peft does by default)."
            )
        raise AdapterRefused(f"'{folder}' has no {WEIGHTS}.")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise AdapterRefused(
            f"The weights of '{folder.name}' are broken ({error}): the file may be truncated; copy or make the adapter again."
        ) from error


def _moved_base(config: Mapping[str, Any]) -> list[str]:
    """What is wrong where the adapter belongs on a base that it has changed itself."""
    begun = str(config.get("init_lora_weights")).lower()
    if not begun.startswith(_MOVING):
        return []
    mend = "peft's save_pretrained with path_initial_model_for_weight_conversion makes a plain LoRA of it"
    if begun == "loftq":
        mend = "it belongs on the base as LoftQ quantised it"
    return [f"init_lora_weights={begun!r}, which changes the base under it ({mend})"]


def _first(faults: Sequence[str], what: str) -> list[str]:
    """As many as can be read, and a count of the rest."""
    return [*faults[:5], *([f"{len(faults) - 5} more {what}"] if len(faults) > 5 else [])]


def _rank_faults(told: Mapping[str, tuple[Any, Any]], tensors: Mapping[str, torch.Tensor]) -> list[str]:
    faults = []
    for site, (rank, _) in told.items():
        a, b = (tensors[f"{_PREFIX}{site}.lora_{half}.weight"] for half in "AB")
        if a.dim() != 2 or b.dim() != 2 or a.shape[0] != rank or b.shape[1] != rank:
            faults.append(f"{site} has lora_A {tuple(a.shape)} and lora_B {tuple(b.shape)} where r={rank}")
    return faults


def _scale(rank: Any, alpha: Any, rslora: Any) -> float:
    return float(alpha) / (math.sqrt(rank) if rslora else rank)


def _told(config: Mapping[str, Any], sites: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """What the config says of each site: (its r, its lora_alpha)."""
    ranks, alphas = (_patterns(config.get(key), sites) for key in ("rank_pattern", "alpha_pattern"))
    return {site: (_pattern(ranks, site, config.get("r")), _pattern(alphas, site, config.get("lora_alpha"))) for site in sites}


def _patterns(told: Mapping[str, Any] | None, sites: Sequence[str]) -> list[tuple[re.Pattern[str], Any]]:
    """Patterns as PEFT reads them: regular expressions for the end of a site's name.

    Raises:
        ValueError: looking for them could take for ever, and nothing can stop it then.
    """
    longest, dots = max(map(len, sites), default=0), max((site.count(".") for site in sites), default=0)
    ways = [_ways(pattern, longest, dots) for pattern in told or {}]
    if len(sites) * sum(ways) > _STEPS:
        raise ValueError("looking for the patterns might never end; names of modules are wanted")
    return [(re.compile(rf"(.*\.)?({pattern})$"), value) for pattern, value in (told or {}).items()]


def _ways(pattern: str, longest: int, dots: int) -> float:
    """In how many ways a pattern may be laid on a name, at the most: repeats end anywhere, and choices are shared out among groups."""
    plain = len(re.findall(r"(?<!\\)\(\?:", pattern))
    repeats, groups = sum(map(pattern.count, "*+?{")) - plain, 1 + pattern.count("(")
    # A group that is repeated has no such bound, and under a flag it may not look like one; left out or not, it has two ways.
    endless = re.search(r"\)[*+{]|\(\?(?!:)", pattern) is not None
    # Logarithms, as a pattern may well have a million of either; whatever stands before it ends behind a dot, for which the name is read.
    told = math.log(1 + dots) + repeats * math.log(1 + longest) + groups * math.log1p(pattern.count("|") / groups)
    return math.inf if endless else longest + math.exp(min(told, 99))


def _pattern(patterns: Sequence[tuple[re.Pattern[str], Any]], site: str, default: Any) -> Any:
    """PEFT's rule: the first pattern that matches the end of the module's name."""
    return next((value for pattern, value in patterns if pattern.match(site)), default)
