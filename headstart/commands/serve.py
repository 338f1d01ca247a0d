"""`headstart serve`: one base, every adapter of the shelf, over HTTP."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET
from socket import socket as Socket
from typing import Literal, final

import uvicorn

from headstart import heap, screen
from headstart.adapters import gguf
from headstart.adapters.export import gguf_base
from headstart.adapters.peers import ENGINE_KEY, find_llama_server
from headstart.adapters.remote import Remote
from headstart.adapters.store import Shelf
from headstart.commands.opening import open_base
from headstart.config import home
from headstart.errors import SettingsError
from headstart.lm.chat import Chat
from headstart.lm.load import Base
from headstart.lm.products import can, spares
from headstart.lm.twin import twin
from headstart.plan.system import machine_memory
from headstart.serve import address
from headstart.serve.apart import apart
from headstart.serve.api import Api
from headstart.serve.besides import besides
from headstart.serve.engine import Running
from headstart.serve.ledger import Ledger
from headstart.serve.limits import Limits, check_address, loopback
from headstart.serve.llama import LlamaServer
from headstart.serve.placeless import public_name
from headstart.serve.relay import Relay
from headstart.serve.request import Engine
from headstart.serve.spare import Spare
from headstart.serve.teacher import Teacher
from headstart.serve.vllm import Vllm
from headstart.terms import SEATS, counted

Kind = Literal["headstart", "llama-server", "vllm"]
KEY = "HEADSTART_API_KEY"
ROOM = 4096
"""Tokens of context that llama-server, which sets memory apart for every row at once, gives to each."""
NEAR = ("localhost", "127.0.0.1")
"""What a server that only this machine reaches may be called."""


def run(
    host: str,
    port: int,
    key: str | None,
    base_name: str | None,
    precision: str | None,
    how: Answering,
    up: Callable[[str], None] = lambda _: None,
) -> None:
    """Load, say what is served, serve until told to stop.

    Args:
        host: the address to listen on.
        port: 0 for any that is free.
        key: None: as the environment has it.
        base_name: see `headstart.lm.load`.
        precision: see `headstart.lm.quantised`.
        how: which engine answers, and with what.
        up: told the address when the server is about to listen there.

    Raises:
        SettingsError: an empty key; an address that others reach, and no key, or one that cannot be had; or an engine that is not there.
        StorageError: another server teaches this base here.
    """
    # As a variable that is not set leaves it: it would open to everyone what was meant to be locked.
    key = os.environ.get(KEY) if key is None else key
    if key == "":
        raise SettingsError(f"The API key is empty: give one by {KEY} or --api-key, or neither to serve without.")
    # When it has drained, uvicorn raises the signal once more, which by default would end the process before it has put anything in order.
    signal.signal(signal.SIGTERM, _leave)
    # Under nohup it stays when its terminal goes.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    heap.one()
    check_address(host, key)
    how.check()
    with bound(host, port) as socket:
        _serve(socket, host, key, lambda: open_base(base_name, precision, "serve"), how, up)


def _serve(socket: Socket, host: str, key: str | None, opened: Callable[[], Base], how: Answering, up: Callable[[str], None]) -> None:
    shelf, limits = Shelf(), Limits()
    base = apart(opened)
    ledger, pupil = Ledger(home() / "serve" / f"{base.content_hash[:16]}.sqlite3"), twin(base)
    spare = Spare(base)
    engine = apart(lambda: how.engine(base, shelf))
    # It knows when the server, which is made below of its very routes, is told to stop: streams end then, in their time.
    api = Api(engine, public_name(base.name), limits, stopping=lambda: server.should_exit)
    port, named = socket.getsockname()[1], in_address(host)
    there = f"http://{from_here(host)}:{port}"
    with refusing(named, port):
        socket.listen()
    # Jobs that an earlier server left are begun here, when nothing stands between them and a server any more.
    teacher = Teacher(ledger, shelf, pupil, engine)
    try:
        app = api.app(key, [*NEAR, named] if loopback(host) else ["*"], besides(api, spare, shelf, ledger, teacher))
        # A second is for telling those at work that their time is over.
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=int(api.drain) + 1, server_header=False))
        tell(f"http://{named}:{port}", api.base, engine, key)
        with address.noted(there):
            up(there)
            server.run([socket])
    finally:
        # The application has done this, unless it was told twice to go.
        engine.stop(0)
        teacher.stop()
        ledger.close()


def _leave(*_: object) -> None:
    raise SystemExit(0)


def bound(host: str, port: int) -> Socket:
    """A socket at an address, had before anything is loaded that would then be for nothing.

    Raises:
        SettingsError: the address is another's, or cannot be had.
    """
    socket = Socket(AF_INET6 if ":" in host else AF_INET)
    # A server that was stopped just now leaves connections behind, which do not keep the next one from its port.
    socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    try:
        with refusing(in_address(host), port):
            socket.bind((host, port))
    except SettingsError:
        socket.close()
        raise
    return socket


@contextmanager
def refusing(host: str, port: int) -> Iterator[None]:
    """Say what to do where the system refuses an address."""
    try:
        yield
    except OSError as error:
        raise SettingsError(
            f"Nothing can be served at {host}:{port} ({error.strerror}): give another --port or --host, or stop what listens there."
        ) from error


def in_address(host: str) -> str:
    """A host as it stands before a port: IPv6's in brackets."""
    return f"[{host}]" if ":" in host else host


def from_here(host: str) -> str:
    """How this machine itself reaches what listens at a host: every address, where it is all of them, is that of the machine alone too."""
    return NEAR[1] if host in ("0.0.0.0", "::") else in_address(host)


@final
@dataclass(frozen=True)
class Answering:
    """Which engine answers, and with what."""

    kind: Kind = "headstart"
    url: str | None = None
    """Where a running vLLM listens."""
    rows: int | None = None
    """Requests at once; None: the engine's own number."""
    budget: int = SEATS // 1_000_000
    """Megabytes of adapters."""
    fast: bool | None = None
    """Whether to keep the weights a second time, see `products`; None: where memory is ample."""

    def check(self) -> None:
        """Look at what needs no base.

        Raises:
            SettingsError: settings that are another engine's, or no llama-server to start.
        """
        if (self.kind == "vllm") != (self.url is not None):
            raise SettingsError("--url says where a running vLLM listens: it goes with --engine vllm, and that with it.")
        if self.kind != "headstart" and self.fast is not None:
            raise SettingsError(f"--fast and --no-fast are for our own engine, and --engine is {self.kind}: leave them.")
        if self.kind == "llama-server":
            find_llama_server()

    def engine(self, base: Base, shelf: Shelf) -> Engine:
        """The engine, at work.

        Raises:
            SettingsError: an engine that is not there.
            EngineGone: it does not answer.
        """
        budget, rows = self.budget * 1_000_000, self.rows or (16 if self.kind != "llama-server" else 4)
        if self.kind == "vllm":
            remote = Remote(str(self.url), os.environ.get(ENGINE_KEY))
            return Relay(base, shelf, Vllm(remote, base, (base.name, public_name(base.name))), budget, rows)
        if self.kind == "llama-server":
            gguf.check(base.model.config)
            short = replace(base, chat=Chat(base.chat.tokenizer, min(base.chat.context, ROOM), base.chat.ends))
            return Relay(
                short, shelf, LlamaServer(find_llama_server(), Path(gguf_base(base)), base, rows, short.chat.context), budget, rows
            )
        return Running(base, shelf, budget=budget, rows=rows, fast=wants(base, self.fast))


def wants(base: Base, fast: bool | None) -> bool:
    """Whether to keep the weights a second time.

    Raises:
        SettingsError: asked for where it cannot be had.
    """
    able = can(base.model)
    if fast and not able:
        raise SettingsError(
            "--fast keeps a copy of the weights for a CPU, and the base is on a GPU or in few bits, or torch lacks oneDNN: leave it."
        )
    return able and spares(base.model, *machine_memory()) if fast is None else fast


def tell(place: str, base: str, engine: Engine, key: str | None) -> None:
    """What is served, what is wrong, and a line to try."""
    names = [it.name for it in engine.served() if it.parent is not None]
    screen.warn(f"{place}/v1 serves {base} and {counted(len(names), 'adapter')}: {', '.join(names) or 'none yet'}")
    screen.warn(f"{place}/ is its page: teach, compare and switch there")
    alike: dict[str, list[str]] = {}
    for name, problem in engine.problems().items():
        alike.setdefault(problem.removeprefix(f"'{name}' "), []).append(name)
    for problem, wrong in alike.items():
        screen.warn(f"passed over: {', '.join(wrong)}: {problem}")
    header = " -H 'Authorization: Bearer KEY'" if key else ""
    example = '{"model": "%s", "messages": [{"role": "user", "content": "Hello"}], "temperature": 0}' % (names[0] if names else base)
    screen.warn(f"curl {place}/v1/chat/completions{header} -H 'Content-Type: application/json' -d '{example}'")
