"""An adapter in the form that another engine reads."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from headstart.adapters import gguf, peft
from headstart.adapters.modelfile import modelfile
from headstart.adapters.store import PREFIX, lines
from headstart.bank import Weights, sites_of
from headstart.episode import Example
from headstart.errors import AdapterRefused, SettingsError
from headstart.lm.gguf import embedded_file
from headstart.lm.load import Base
from headstart.lm.pieces import pieces
from headstart.lm.sites import turned
from headstart.plan.verdict import PACKINGS
from headstart.terms import EMBEDDED

SYSTEM = "system.txt"
"""What an adapter is to be told in front of every conversation, beside it, where its form has no place for that."""
Form = Literal["gguf", "ollama", "peft", "vllm", "merged"]
CONVERTER = "convert_hf_to_gguf.py"
"""llama.cpp's, which knows every family; where it is on the path a merged model is written as GGUF too."""
_RANKS = (16, 32, 64, 128, 256, 320, 512)
"""Ranks that vLLM makes room for; the first is its default."""


def write(form: Form, out: Path, base: Base, weights: Weights, kept: Sequence[Example], system: str = "") -> None:
    """Fill a folder.

    Args:
        form: in which form.
        out: the folder; it is there, and empty.
        base: whose adapter it is; `merged` changes its weights.
        weights: the adapter's.
        kept: examples that it keeps in front of every prompt.
        system: what it was told when it was taught, which a Modelfile holds, and else a file beside the adapter.

    Raises:
        AdapterRefused, SettingsError: the form cannot hold it.
    """
    match form:
        case "ollama":
            # Its Modelfile holds what is kept and what is told.
            return _ollama(out, base, weights, kept, system)
        case "gguf":
            _gguf(out, base, weights)
        case "peft" | "vllm":
            # Written anew: one rank and a scale of one, whatever patterns another tool left on the shelf.
            peft.write(out, weights, base.name, base.layers)
        case "merged":
            _merged(out, base, weights)
    if kept:
        (out / PREFIX).write_text(lines(kept), encoding="utf-8")
    if system:
        (out / SYSTEM).write_bytes(system.encode())


def _gguf(out: Path, base: Base, weights: Weights) -> None:
    gguf.write(out / "adapter.gguf", weights, base.model.config)


def _ollama(out: Path, base: Base, weights: Weights, kept: Sequence[Example], system: str) -> None:
    _gguf(out, base, weights)
    stops = [base.chat.tokenizer.decode([token]) for token in base.chat.stops]
    text = modelfile(gguf_base(base), "./adapter.gguf", pieces(base.chat), stops, kept, system)
    (out / "Modelfile").write_text(text, encoding="utf-8")


def gguf_base(base: Base) -> str:
    """Where the base's own GGUF lies.

    Raises:
        SettingsError: it was read from no GGUF.
    """
    if base.name == EMBEDDED and (file := embedded_file()) is not None:
        return str(file)
    if base.name.endswith(".gguf"):
        return base.name
    raise SettingsError(
        f"llama.cpp and Ollama read bases as GGUF, and '{base.name}' is none: teach the adapter on the .gguf of this base "
        "(`headstart adapt … --base BASE.gguf`) and export it with the same --base."
    )


def most_rank(weights: Weights) -> int:
    """The least `--max-lora-rank` that lets an adapter in.

    Raises:
        AdapterRefused: there is none.
    """
    rank = peft.rank_of(weights)
    if rank > _RANKS[-1]:
        raise AdapterRefused(f"vLLM makes room for ranks up to {_RANKS[-1]}, and this adapter has {rank}.")
    return next(most for most in _RANKS if most >= rank)


def _merged(out: Path, base: Base, weights: Weights) -> None:
    if base.precision in PACKINGS:
        raise AdapterRefused(
            f"Nothing can be merged into a base that is kept in {base.precision}: give --base the one that it was made from."
        )
    for site in sites_of(weights):
        linear = base.model.get_submodule(site)
        bent = weights[f"{site}.lora_B"].double() @ weights[f"{site}.lora_A"].double()
        bent = (bent.T if turned(linear) else bent).to(linear.weight.device)
        linear.weight.data = (linear.weight.data.double() + bent).to(linear.weight.dtype)
    base.model.save_pretrained(out)
    base.chat.tokenizer.save_pretrained(out)
    if (converter := shutil.which(CONVERTER)) is not None:
        _convert(converter, out)


def _convert(converter: str, out: Path) -> None:
    """The merged model as one GGUF beside it, by llama.cpp's own program."""
    words = [converter, str(out), "--outtype", "f16", "--outfile", str(out / "model-f16.gguf")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise AdapterRefused(f"{CONVERTER} could not write the merged model as GGUF: {said[-1] if said else 'it said nothing'}")
