"""`headstart adapters export`: an adapter in the form that another engine reads."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from headstart import disk, screen
from headstart.adapters.export import SYSTEM, Form, most_rank, write
from headstart.adapters.store import PREFIX, Shelf
from headstart.adapters.wear import graft_for, key_of
from headstart.commands.opening import base_of, open_base
from headstart.errors import NameRefused

_USES = {
    "gguf": "llama-server -m BASE.gguf --lora {out}/adapter.gguf --lora-init-without-apply",
    "ollama": "ollama create {name} -f {out}/Modelfile",
    "peft": "PeftModel.from_pretrained(model, {python})",
    "vllm": "vllm serve {base} --enable-lora --max-lora-rank {rank} --lora-modules {name}={out}",
    "merged": "AutoModelForCausalLM.from_pretrained({python})",
}


def run(name: str, form: Form, out: Path | None, base_name: str | None, as_json: bool) -> None:
    """Read, check against the base, write a folder, say how it is used.

    Raises:
        NameRefused, AdapterRefused: no such adapter, another base's, or one that the engine would read wrongly.
    """
    shelf, place = Shelf(), (out or Path(f"{name}-{form}")).resolve()
    # Read for nothing but what is wrong with it, which is told before a base takes its time.
    shelf.prefix(name)
    if place.exists():
        raise NameRefused(f"'{place}' is there already: give another --out, or remove it.")
    # Of packed weights nothing can be merged into.
    base = open_base(base_of(shelf, name, base_name), purpose=None if form == "merged" else "serve", asked=False)
    adapter = shelf.adapter(name, key_of(base))
    weights, kept, system = adapter.weights, adapter.prefix, adapter.system
    graft_for(base, name, weights).remove()
    rank = most_rank(weights) if form == "vllm" else 0
    with disk.new_folder(place) as pending:
        write(form, pending, base, weights, kept, system)
    words = {"out": shlex.quote(str(place)), "python": repr(str(place)), "base": shlex.quote(base.name)}
    use = _USES[form].format(name=name, rank=rank, **words)
    facts: dict[str, Any] = {"name": name, "to": form, "path": str(place), "bytes": disk.size(place), "prefix": len(kept), "use": use}
    facts |= {"system": system} if system else {}
    if as_json:
        screen.emit(facts)
        return
    screen.say(f"{place}: {facts['bytes'] / 1e6:.1f} MB")
    screen.say(use)
    if kept and form != "ollama":
        told = f"This adapter keeps {len(kept)} examples in front of every prompt ({PREFIX}): put them there yourself, or it answers worse."
        screen.say(told)
    if system and form != "ollama":
        screen.say(f"It was taught under a system message ({SYSTEM}): tell it there yourself, or it answers worse: {system!r}")
