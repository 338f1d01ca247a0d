"""`headstart adapters export`: an adapter in the form that another engine reads."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from headstart import disk, screen
from headstart.adapters import gguf, peft
from headstart.adapters.modelfile import modelfile
from headstart.adapters.store import PREFIX, Shelf
from headstart.adapters.wear import graft_for, key_of
from headstart.bank import Weights
from headstart.commands.opening import open_base
from headstart.episode import Example
from headstart.errors import AdapterRefused, NameRefused, SettingsError
from headstart.lm.gguf import embedded_file
from headstart.lm.load import EMBEDDED, Base
from headstart.lm.pieces import pieces
from headstart.plan.verdict import PACKINGS
from headstart.teach.recipe import layer_count

Form = Literal["gguf", "ollama", "peft", "vllm", "merged"]
_USES = {
    "gguf": "llama-server -m BASE.gguf --lora {out}/adapter.gguf",
    "ollama": "ollama create {name} -f {out}/Modelfile",
    "peft": "PeftModel.from_pretrained(model, '{out}')",
    "vllm": "vllm serve {base} --enable-lora --max-lora-rank {rank} --lora-modules {name}={out}",
    "merged": "AutoModelForCausalLM.from_pretrained('{out}')",
}

CONVERTER = "convert_hf_to_gguf.py"
"""llama.cpp's, which knows every family; where it is on the path a merged model is written as GGUF too."""
_RANKS = (16, 32, 64, 128, 256, 320, 512)
"""Ranks that vLLM makes room for; the first is its default."""


def run(name: str, form: Form, out: Path | None, base_name: str | None, as_json: bool) -> None:
    """Read, check against the base, write a folder, say how it is used.

    Raises:
        NameRefused, AdapterRefused: no such adapter, another base's, or one that the engine would read wrongly.
    """
    shelf, place = Shelf(), (out or Path(f"{name}-{form}")).resolve()
    kept = shelf.prefix(name)
    if place.exists():
        raise NameRefused(f"'{place}' is there already: give another --out, or remove it.")
    base = open_base(base_name)
    weights = shelf.read(name, key_of(base))
    graft_for(base, name, weights).remove()
    rank = _limit(weights) if form == "vllm" else 0
    place.parent.mkdir(parents=True, exist_ok=True)
    with disk.new_folder(place) as pending:
        _WRITERS[form](pending, base, weights, kept)
        if kept and form != "ollama":
            shutil.copy(shelf.path(name) / PREFIX, pending / PREFIX)
    use = _USES[form].format(out=place, name=name, base=base.name, rank=rank)
    facts: dict[str, Any] = {"name": name, "to": form, "path": str(place), "bytes": disk.size(place), "prefix": len(kept), "use": use}
    if as_json:
        screen.emit(facts)
        return
    screen.OUT.print(f"{place}: {facts['bytes'] / 1e6:.1f} MB", soft_wrap=True, highlight=False)
    screen.OUT.print(use, soft_wrap=True, highlight=False, markup=False)
    if kept and form != "ollama":
        told = f"This adapter keeps {len(kept)} examples in front of every prompt ({PREFIX}): put them there yourself, or it answers worse."
        screen.OUT.print(told, soft_wrap=True)


def _gguf(out: Path, base: Base, weights: Weights, kept: Sequence[Example]) -> None:
    gguf.write(out / "adapter.gguf", weights, base.model.config)


def _ollama(out: Path, base: Base, weights: Weights, kept: Sequence[Example]) -> None:
    _gguf(out, base, weights, kept)
    stops = [base.chat.tokenizer.decode([token]) for token in base.chat.stops]
    text = modelfile(gguf_base(base), "./adapter.gguf", pieces(base.chat), stops, kept)
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
        f"llama.cpp and Ollama read bases as GGUF, and '{base.name}' is none: name the .gguf of this base with --base. "
        "(An adapter made for other weight files is refused; make it on the .gguf.)"
    )


def _peft(out: Path, base: Base, weights: Weights, kept: Sequence[Example]) -> None:
    """Written anew: one rank and a scale of one, whatever patterns another tool left on the shelf."""
    peft.write(out, weights, base.name, layer_count(base))


def _limit(weights: Weights) -> int:
    """The least `--max-lora-rank` that lets an adapter in.

    Raises:
        AdapterRefused: there is none.
    """
    rank = max(w.shape[0] for key, w in weights.items() if key.endswith("lora_A"))
    if rank > _RANKS[-1]:
        raise AdapterRefused(f"vLLM makes room for ranks up to {_RANKS[-1]}, and this adapter has {rank}.")
    return next(most for most in _RANKS if most >= rank)


def _merged(out: Path, base: Base, weights: Weights, kept: Sequence[Example]) -> None:
    if base.precision in PACKINGS:
        raise AdapterRefused(
            f"Nothing can be merged into a base that is kept in {base.precision}: give --base the one that it was made from."
        )
    for site in dict.fromkeys(key.rpartition(".")[0] for key in weights):
        linear = base.model.get_submodule(site)
        bent = weights[f"{site}.lora_B"].double() @ weights[f"{site}.lora_A"].double()
        linear.weight.data = (linear.weight.data.double() + bent.to(linear.weight.device)).to(linear.weight.dtype)
    base.model.save_pretrained(out)
    base.chat.tokenizer.save_pretrained(out)
    if (converter := shutil.which(CONVERTER)) is not None:
        _convert(converter, out)


def _convert(converter: str, out: Path) -> None:
    """The merged model as one GGUF beside it, by llama.cpp's own program."""
    words = [converter, str(out), "--outtype", "f16", "--outfile", str(out / "model-f16.gguf")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise AdapterRefused(f"{CONVERTER} could not write the merged model as GGUF: {lines[-1] if lines else 'it said nothing'}")


_WRITERS: dict[Form, Callable[[Path, Base, Weights, Sequence[Example]], None]] = {
    "gguf": _gguf,
    "ollama": _ollama,
    "peft": _peft,
    "vllm": _peft,
    "merged": _merged,
}
