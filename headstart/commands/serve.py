"""`headstart serve`: one base, every adapter of the shelf, over HTTP."""

from __future__ import annotations

import os
from pathlib import Path

import uvicorn

from headstart import screen
from headstart.adapters.store import Shelf
from headstart.commands.opening import open_base
from headstart.config import home
from headstart.errors import SettingsError
from headstart.lm.load import Base
from headstart.lm.products import can, spares
from headstart.lm.twin import twin
from headstart.serve.apart import apart
from headstart.serve.api import Api
from headstart.serve.engine import Running
from headstart.serve.lean import stay_lean
from headstart.serve.ledger import Ledger
from headstart.serve.limits import Limits, check_address, loopback
from headstart.serve.teacher import Teacher
from headstart.serve.teaching import Teaching

KEY = "HEADSTART_API_KEY"
NEAR = ("localhost", "127.0.0.1")
"""What a server that only this machine reaches may be called."""


def run(host: str, port: int, key: str | None, base_name: str | None, rows: int, budget: int, fast: bool | None) -> None:
    """Load, say what is served, serve until told to stop.

    Args:
        host: the address to listen on.
        port: 0 for any that is free.
        key: None: as the environment has it.
        base_name: see `headstart.lm.load`.
        rows: requests in the batch at once.
        budget: megabytes of adapters in the bank.
        fast: whether to keep the weights a second time, see `products`; None: where memory is ample.

    Raises:
        SettingsError: an address that others reach, and no key.
        StorageError: another server teaches this base here.
    """
    key = key or os.environ.get(KEY) or None
    stay_lean()
    check_address(host, key)
    shelf, limits = Shelf(), Limits()
    base = apart(lambda: open_base(base_name))
    ledger, pupil, fast = Ledger(home() / "serve" / f"{base.content_hash[:16]}.sqlite3"), twin(base), wants(base, fast)
    engine = apart(lambda: Running(base, shelf, budget=budget * 1_000_000, rows=rows, fast=fast))
    api, teacher = Api(engine, public_name(base.name), limits), Teacher(ledger, shelf, pupil, engine)
    teaching = Teaching(ledger, teacher, shelf, api.base, limits)
    app = api.app(key, [*NEAR, host] if loopback(host) else ["*"], teaching.routes())
    server = uvicorn.Server(
        uvicorn.Config(app, host, port, log_level="warning", timeout_graceful_shutdown=int(api.drain), server_header=False)
    )
    socket = server.config.bind_socket()
    tell(f"http://{host}:{socket.getsockname()[1]}", api.base, engine, key)
    try:
        server.run([socket])
    finally:
        teacher.stop()
        ledger.close()


def wants(base: Base, fast: bool | None) -> bool:
    """Whether to keep the weights a second time.

    Raises:
        SettingsError: asked for where it cannot be had.
    """
    able = can(base.model)
    if fast and not able:
        raise SettingsError(
            "--fast keeps a copy of the weights for a CPU, and the base is on a GPU, or torch is built without oneDNN: leave it."
        )
    return able and spares(base.model) if fast is None else fast


def public_name(name: str) -> str:
    """What a base is called to the outside: its id, or the last part of its place on this machine."""
    return Path(name).name if Path(name).exists() else name


def tell(address: str, base: str, engine: Running, key: str | None) -> None:
    """What is served, what is wrong, and a line to try."""
    names = [it.name for it in engine.served() if it.parent is not None]
    screen.ERR.print(
        f"{address}/v1 serves {base} and {len(names)} adapter{'s' * (len(names) != 1)}: {', '.join(names) or 'none yet'}", soft_wrap=True
    )
    for name, problem in engine.problems().items():
        screen.warn(f"'{name}' is passed over: {problem}")
    header = " -H 'Authorization: Bearer KEY'" if key else ""
    example = '{"model": "%s", "messages": [{"role": "user", "content": "Hello"}]}' % (names[0] if names else base)
    screen.ERR.print(
        f"curl {address}/v1/chat/completions{header} -H 'Content-Type: application/json' -d '{example}'",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
