"""`headstart adapters verify`: does another engine say the same under this adapter?"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from headstart import screen
from headstart.adapters import gguf, peers
from headstart.adapters.export import gguf_base
from headstart.adapters.proof import Proof, probes, prove
from headstart.adapters.remote import Remote
from headstart.adapters.still import still
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of, wear
from headstart.commands.opening import base_of, open_base
from headstart.errors import SettingsError
from headstart.lm.load import Base

ENGINES = ("llama-server", "peft")


def run(name: str, against: str, base_name: str | None, as_json: bool) -> int:
    """Ask both engines, tell how far they are apart; 0 where they say the same, else 1.

    Raises:
        NameRefused, AdapterRefused: no such adapter, or another base's.
        SettingsError, EngineGone: the other engine is not there, or has no such adapter.
    """
    if against not in ENGINES and not against.startswith(("http://", "https://")):
        raise SettingsError(f"--against is '{against}': {', '.join(ENGINES)} or the address of an engine is wanted, http://….")
    shelf = Shelf()
    shelf.known(name)
    base_name = base_of(shelf, name, base_name)
    # Against peft there have to be two bases, both whole.
    base = open_base(base_name, purpose=None if against == "peft" else "serve")
    # The other engine reads the folder too, and later.
    proof = still(shelf.path(name), lambda _: _prove(base, base_name, shelf, name, against))
    facts = {"name": name, "against": against, **vars(proof), "same": proof.same}
    if as_json:
        screen.emit(facts)
    else:
        verdict = "the same" if proof.same else "NOT the same: do not use this adapter there"
        far = f"Mean |delta log p| {proof.adapter:.3f} under the adapter, {proof.base:.3f} between the bare bases"
        told = f"'{name}' in {against}: {verdict}. {far}; the adapter itself moves {proof.moved:.3f} ({proof.probes} probes)."
        screen.say(told)
    return 0 if proof.same else 1


def _prove(base: Base, base_name: str | None, shelf: Shelf, name: str, against: str) -> Proof:
    worn = wear(base, shelf, name)
    try:
        tokens = probes(base.chat, worn.before, worn.system)
        if against == "peft":
            with peers.peft(open_base(base_name), shelf.path(name)) as there:
                return prove(worn, tokens, there)
        if against != "llama-server":
            return prove(worn, tokens, peers.at(Remote(against, os.environ.get(peers.ENGINE_KEY)), name))
        program, model = peers.find_llama_server(), Path(gguf_base(base))
        with tempfile.TemporaryDirectory() as folder:
            gguf.write(Path(folder) / "adapter.gguf", shelf.read(name, key_of(base)), base.model.config)
            room = max(map(len, tokens)) + 8
            with peers.llama_server(program, model, [Path(folder) / "adapter.gguf"], room=room) as there:
                return prove(worn, tokens, peers.likeliest(there))
    finally:
        worn.net.remove()
