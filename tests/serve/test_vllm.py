"""Our routes in front of a vLLM: a server that speaks its documented wire, with PEFT for its arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

import pytest

from headstart.adapters.remote import Remote
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.errors import EngineGone, SettingsError
from headstart.lm.load import Base
from headstart.serve.engine import Running
from headstart.serve.relay import Relay
from headstart.serve.vllm import Vllm
from tests.serve.conftest import loud
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
    assert len([name for name in vllm.adapters if name.startswith("a--")]) == 2
    behind.unload("a")
    assert not vllm.adapters
    behind.stop()


def test_vllm_that_was_begun_anew_is_given_its_adapters_again(behind: Relay, vllm: StandIn) -> None:
    before = heard(behind.submit(ask("a", 8)))[0]
    vllm.adapters.clear()
    assert heard(behind.submit(ask("a", 8)))[1].reason == "error"
    assert heard(behind.submit(ask("a", 8)))[0] == before


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
