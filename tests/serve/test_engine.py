"""The engine: whatever runs beside a request, its answer is the one that it would have alone."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from queue import SimpleQueue

import pytest
import torch
from safetensors.torch import load_file, save_file

from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.bank import Bank
from headstart.episode import Example
from headstart.errors import AdapterRefused, Busy, ExamplesError, NameRefused
from headstart.lm.generate import Sampling
from headstart.lm.load import Base
from headstart.lm.packed import Packed
from headstart.lm.places import Places, Turn
from headstart.serve import engine as module
from headstart.serve.batch import SHARED
from headstart.serve.engine import Running
from headstart.serve.request import Ask, Piece
from headstart.serve.row import Row
from headstart.terms import KEPT
from tests.serve.asking import Make, alone, answer, ask
from tests.serve.conftest import loud


def many(count: int) -> list[Ask]:
    """Of all adapters, lengths and ways to choose a token."""
    rng = random.Random(0)
    asked = []
    for i in range(count):
        sampling = Sampling(rng.randint(1, 24), rng.choice((0.0, 1.5)), rng.choice((1.0, 0.9)), i, rng.choice(((), ("e",))))
        asked.append(
            ask(rng.choice((None, "a", "b", "c", "d")), " ".join(rng.choices("red blue grey pink".split(), k=rng.randint(1, 30))), sampling)
        )
    return asked


def test_every_answer_in_a_mixed_batch_is_the_one_it_has_alone(own: Base, shelf: Shelf, running: Make) -> None:
    asked = many(40)
    expected = [alone(own, shelf, it) for it in asked]
    engine = running(rows=6)
    answers = [answer(stream) for stream in [engine.submit(it) for it in asked]]
    assert [text for text, _ in answers] == expected
    assert len(set(expected)) > 20
    figures, ends = engine.figures(), [end for _, end in answers]
    assert figures["requests"] == len(asked)
    assert figures["tokens_cached"] == sum(end.cached_tokens for end in ends) > 0
    assert figures["tokens_read"] + figures["tokens_cached"] == sum(end.prompt_tokens for end in ends)
    assert figures["tokens_written"] == sum(end.completion_tokens for end in ends)
    assert figures["passes"] < figures["tokens_written"], "rows shared passes"
    assert figures["tokens_guessed"] > 0
    assert (figures["rows"], figures["waiting"], figures["pins"], figures["leaks"], figures["errors"]) == (0, 0, 0, 0, 0)


def test_long_prompts_are_read_in_chunks_and_what_was_read_is_kept(
    own: Base, shelf: Shelf, running: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 7)
    engine, it = running(), ask("c", "red " * 40)
    expected = alone(own, shelf, it)
    first, again = answer(engine.submit(it)), answer(engine.submit(it))
    assert first[0] == again[0] == expected
    assert (first[1].cached_tokens, again[1].cached_tokens) == (0, first[1].prompt_tokens - 1)
    assert answer(engine.submit(ask("c", "grey")))[1].cached_tokens > 10, "the kept examples were read once"
    assert answer(engine.submit(ask("a", "red " * 40)))[1].cached_tokens == 0, "a cache belongs to its adapter"


def test_text_is_taken_as_it_is_and_ends_say_why(own: Base, running: Make) -> None:
    engine = running()
    text, end = answer(engine.submit(Ask(None, "red red red", Sampling(max_tokens=3))))
    assert (end.reason, end.completion_tokens, end.prompt_tokens) == ("length", 3, len(own.chat.plain("red red red")))
    stopped, end = answer(engine.submit(Ask(None, "red red red", Sampling(max_tokens=30, stop=(text[:1],)))))
    assert (stopped, end.reason) == ("", "stop")


def test_log_probabilities_are_of_the_tokens_that_were_taken(running: Make) -> None:
    stream = running().submit(ask("a", logprobs=3))
    pieces = []
    while isinstance(it := stream.next(timeout=60), Piece):
        pieces.append(it)
    told = [piece for piece in pieces if piece.taken]
    assert len(told) == it.completion_tokens
    for piece in told:
        assert piece.taken == piece.likeliest[0], "greedy takes the likeliest"
        assert len(piece.likeliest) == 3
        assert piece.likeliest[0].logprob >= piece.likeliest[2].logprob


def test_an_unknown_name_is_refused_and_never_the_base(running: Make) -> None:
    with pytest.raises(NameRefused, match="no adapter 'e'"):
        running().submit(ask("e"))
    with pytest.raises(NameRefused):
        running().submit(ask("../a"))


def test_a_broken_adapter_is_told_and_harms_no_other(shelf: Shelf, running: Make) -> None:
    (shelf.path("b") / "adapter_model.safetensors").write_bytes(b"\0")
    engine = running()
    assert [it.name for it in engine.served()][1:] == ["a", "c", "d"]
    assert list(engine.problems()) == ["b"]
    with pytest.raises(AdapterRefused):
        engine.submit(ask("b"))
    assert answer(engine.submit(ask("a")))[1].reason in ("stop", "length")


def test_a_prompt_without_room_is_refused(own: Base, running: Make) -> None:
    with pytest.raises(ExamplesError, match="fills the model's context"):
        running().submit(ask(None, "red " * own.chat.context))


def test_content_that_was_replaced_is_served_from_the_next_request_on(own: Base, shelf: Shelf, running: Make) -> None:
    engine = running()
    long = ask("a", sampling=Sampling(max_tokens=60))
    before = alone(own, shelf, long)
    stream = engine.submit(long)
    stream.next(timeout=60)
    shelf.write("a", loud(own, 77), {"base": asdict(key_of(own))}, 2, replace=True)
    engine.load("a")
    after = answer(engine.submit(long))[0]
    assert after == alone(own, shelf, long) != before
    assert before.endswith(answer(stream)[0]), "a row at work keeps what it began with"
    assert engine.figures()["adapters"] == 1


def test_a_reader_who_leaves_frees_its_row(running: Make) -> None:
    engine = running(rows=1)
    stream = engine.submit(ask("a", sampling=Sampling(max_tokens=10_000, temperature=3.0)))
    stream.next(timeout=60)
    waiting = engine.submit(ask("b"))
    stream.cancel()
    assert answer(waiting)[1].reason in ("stop", "length")
    assert answer(stream)[1].reason == "cancelled"


def test_a_full_queue_refuses_and_a_late_row_is_ended(running: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = running(rows=1, queue=1, deadline=0.2)
    gate = threading.Event()
    monkeypatch.setattr(engine, "_go_on", lambda *_: gate.wait(5))
    streams = [engine.submit(ask("a")), engine.submit(ask("b"))]
    with pytest.raises(Busy, match="2 requests are at work"):
        engine.submit(ask("c"))
    threading.Timer(0.3, gate.set).start()
    for stream in streams:
        end = answer(stream)[1]
        assert (end.reason, end.error) == ("late", "The answer took longer than 0 seconds.")
    assert engine.figures()["errors"] == 2


def test_one_row_at_fault_goes_alone(own: Base, shelf: Shelf, running: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    take = Row.take

    def cracked(row: Row, logits: torch.Tensor, likeliest: int) -> bool:
        if row.asked.ask.adapter == "b" and len(row.growing.tokens) == 2:
            raise RuntimeError("/secret/place")
        return take(row, logits, likeliest)

    monkeypatch.setattr(Row, "take", cracked)
    engine, asked = running(), [ask("a"), ask("b"), ask("d")]
    answers = [answer(stream) for stream in [engine.submit(it) for it in asked]]
    assert answers[1][1] == replace(answers[1][1], reason="error", error="The answer failed.")
    assert [answers[i][0] for i in (0, 2)] == [alone(own, shelf, asked[i]) for i in (0, 2)]
    assert engine.figures()["pins"] == 0


def test_a_pass_that_fails_is_tried_for_each_row(own: Base, shelf: Shelf, running: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, asked = running(), [ask("a"), ask("b")]
    read = Packed.__call__

    def once(packed: Packed, places: Places, bank: Bank, turns: list[Turn]) -> torch.Tensor:
        if len(turns) > 1:
            raise RuntimeError("too large together")
        return read(packed, places, bank, turns)

    monkeypatch.setattr(Packed, "__call__", once)
    streams = [engine.submit(it) for it in asked]
    assert [answer(stream)[0] for stream in streams] == [alone(own, shelf, it) for it in asked]


def test_stopping_finishes_what_is_at_work(own: Base, shelf: Shelf, running: Make) -> None:
    engine, it = running(), ask("a", sampling=Sampling(max_tokens=40))
    expected, stream = alone(own, shelf, it), engine.submit(it)
    engine.stop(60)
    assert answer(stream)[0] == expected
    with pytest.raises(Busy, match="shutting down"):
        engine.submit(it)
    assert not any(m._forward_hooks for m in own.model.modules())


def test_stopping_at_once_tells_those_at_work(running: Make) -> None:
    engine = running()
    stream = engine.submit(ask("a", sampling=Sampling(max_tokens=10_000, temperature=3.0)))
    engine.stop(0)
    assert answer(stream)[1].error == "The server was shut down."


def test_what_is_asked_behind_the_end_is_refused_and_waits_for_nothing(running: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, begun, held, told = running(), threading.Event(), threading.Event(), SimpleQueue[str]()

    def late(work: Callable[[], object]) -> None:
        with pytest.raises(Busy) as refused:
            work()
        told.put(str(refused.value))

    engine._inbox.put(lambda: (begun.set(), held.wait(60)))
    assert begun.wait(10)
    entered = engine._door.enter(ask("a"))
    ends = threading.Thread(target=engine.stop, args=(0,), daemon=True)
    ends.start()
    while engine._inbox._why is None:
        time.sleep(0.01)
    # One that came in just before the door was shut.
    monkeypatch.setattr(engine._door, "enter", lambda _: entered)
    for work in (engine.figures, lambda: engine.submit(ask("a"))):
        threading.Thread(target=late, args=(work,), daemon=True).start()
        assert told.get(timeout=10) == "The server is shutting down."
    held.set()
    ends.join(30)
    assert not ends.is_alive()
    assert not engine.busy()


def test_an_adapter_that_was_removed_is_gone(shelf: Shelf, running: Make) -> None:
    engine = running()
    answer(engine.submit(ask("a")))
    shutil.rmtree(shelf.path("a"))
    with pytest.raises(NameRefused):
        engine.submit(ask("a"))


def test_an_adapter_of_no_numbers_is_refused(shelf: Shelf, running: Make) -> None:
    file = shelf.path("b") / "adapter_model.safetensors"
    weights = load_file(file)
    weights[next(iter(weights))][0, 0] = float("nan")
    save_file(weights, file)
    engine = running()
    with pytest.raises(AdapterRefused, match="no finite numbers"):
        engine.submit(ask("b"))


def test_a_turn_that_fails_altogether_ends_its_rows_and_no_others(
    shelf: Shelf, own: Base, running: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, admit = running(), Running._admit

    def broken(it: Running) -> None:
        if any(row.asked.ask.adapter == "b" for row in it._batch.all()):
            raise RuntimeError("/secret/place")
        admit(it)

    monkeypatch.setattr(Running, "_admit", broken)
    assert answer(engine.submit(ask("b")))[1].error == "The answer failed."
    assert answer(engine.submit(ask("a")))[0] == alone(own, shelf, ask("a"))


@pytest.mark.parametrize("kept", [KEPT, 0])
def test_what_rows_begin_with_is_read_once_however_many_come_together(own: Base, shelf: Shelf, running: Make, kept: int) -> None:
    before = [Example.pair(f"{word} please " * 8, word.upper()) for word in ("red", "tan", "blue", "grey")]
    shelf.write("long", loud(own, 3), {"base": asdict(key_of(own))}, 2, before)
    engine, asked = running(kept=kept), [ask("long", f"{word} please") for word in ("red", "tan", "pink", "lime")]
    answers = [answer(stream) for stream in [engine.submit(it) for it in asked]]
    assert [text for text, _ in answers] == [alone(own, shelf, it) for it in asked]
    prompt = answers[0][1].prompt_tokens
    assert prompt > 2 * SHARED
    assert engine.figures()["tokens_read"] < 1.5 * prompt
