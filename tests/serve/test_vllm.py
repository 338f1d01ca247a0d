"""Our routes in front of a vLLM: a server that speaks its documented wire, with PEFT for its arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from headstart.adapters import peers
from headstart.adapters.remote import Remote
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.errors import EngineGone, NameRefused, SettingsError
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.serve.catalogue import Catalogue
from headstart.serve.engine import Running
from headstart.serve.relay import Relay
from headstart.serve.vllm import Vllm
from tests.serve.conftest import Place, loud
from tests.serve.test_relay import ask, heard
from tests.serve.vllm_stand_in import StandIn


@pytest.fixture
def vllm(own: Base) -> Iterator[StandIn]:
    with StandIn(own) as there:
        yield there


@pytest.fixture
def behind(own: Base, shelf: Shelf, vllm: StandIn) -> Iterator[Relay]:
    engine = Relay(own, shelf, Vllm(Remote(vllm.address), own), rows=4)
    yield engine
    engine.stop(0)


def soon(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """What is put in order beside the answers."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


NAMES = (None, "a", "b", "c", "d")


def test_vllm_says_what_our_own_engine_says(behind: Relay, running: Callable[..., Running]) -> None:
    streams = {name: behind.submit(ask(name, 8)) for name in NAMES}
    there = {name: heard(stream)[0] for name, stream in streams.items()}
    behind.stop()
    ours = running()
    assert there == {name: heard(ours.submit(ask(name, 8)))[0] for name in NAMES}
    assert len(set(there.values())) == 5


def test_vllm_gets_new_content_under_a_name_of_its_own(own: Base, shelf: Shelf, behind: Relay, vllm: StandIn) -> None:
    before = heard(behind.submit(ask("a", 8)))[0]
    shelf.write("a", loud(own, 77), {"base": asdict(key_of(own))}, 2, replace=True)
    assert heard(behind.submit(ask("a", 8)))[0] != before
    behind.unload("a")
    soon(lambda: not vllm.adapters)
    with pytest.raises(NameRefused, match="not loaded"):
        behind.unload("a")
    assert heard(behind.submit(ask("a", 8)))[0] != before


def test_of_what_is_replaced_again_and_again_nothing_is_left(own: Base, shelf: Shelf, behind: Relay, vllm: StandIn) -> None:
    for seed in (77, 78, 79):
        shelf.write("a", loud(own, seed), {"base": asdict(key_of(own))}, 2, replace=True)
        heard(behind.submit(ask("a")))
    soon(lambda: len(vllm.adapters) == 1)
    [folder] = vllm.adapters.values()
    # Where it has memory for few, it reads them anew at every change.
    soon(lambda: [str(path) for path in Path(folder).parent.iterdir()] == [folder])


def test_content_that_is_at_work_stays_to_its_end(own: Base, shelf: Shelf, vllm: StandIn) -> None:
    net = Grafted(own.model, "all-linear")
    peer, catalogue = Vllm(Remote(vllm.address), own), Catalogue(own, shelf, net, 0)
    first = catalogue.content("a")
    peer.fit(iter([first]))
    shelf.write("a", loud(own, 77), {"base": asdict(key_of(own))}, 2, replace=True)
    peer.fit(iter([catalogue.content("a")]))
    assert peer.names() == {"a": first.bytes}
    peer.tidy([first])
    assert len(vllm.adapters) == 2
    peer.tidy([])
    assert len(vllm.adapters) == 1
    assert not peer.wears(first)
    peer.stop()
    net.remove()


def test_vllm_that_was_begun_anew_is_given_its_adapters_again(behind: Relay, vllm: StandIn) -> None:
    before = heard(behind.submit(ask("a", 8)))[0]
    vllm.adapters.clear()
    assert heard(behind.submit(ask("a", 8)))[1].reason == "error"
    assert heard(behind.submit(ask("a", 8)))[0] == before


def test_one_that_vllm_lacks_costs_no_reading_of_others(behind: Relay) -> None:
    for name in "ab":
        assert heard(behind.submit(ask(name)))[1].reason != "error"
    assert [*behind._catalogue._known] == ["a", "b"]


def test_vllm_is_left_without_what_was_loaded(behind: Relay, vllm: StandIn) -> None:
    for name in "abc":
        heard(behind.submit(ask(name)))
    assert len(vllm.adapters) == 3
    behind.stop()
    assert not vllm.adapters


def test_vllm_with_another_base_and_no_vllm_are_refused(own: Base, vllm: StandIn) -> None:
    with pytest.raises(SettingsError, match="serves"):
        Vllm(Remote(vllm.address), own, ["another/base"])
    with pytest.raises(EngineGone, match="does not answer"):
        Vllm(Remote("http://127.0.0.1:9"), own)


def test_the_key_goes_along(own: Base) -> None:
    with StandIn(own, key="secret") as there:
        with pytest.raises(EngineGone, match="401"):
            Vllm(Remote(there.address), own)
        Vllm(Remote(there.address, "secret"), own).stop()


def test_headstart_is_no_other_engine_to_verify_against(place: Place) -> None:
    address = str(place().base_url).removesuffix("/v1/")
    with pytest.raises(SettingsError, match=f"^At {address} it is headstart itself that answers: the address of a llama-server or a vLLM"):
        peers.at(Remote(address), "a")
