"""What the shelf has now, whoever writes on it meanwhile."""

from __future__ import annotations

import gc
import os
import shutil
import weakref
from collections.abc import Iterator
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import load_file, save_file

from headstart.adapters import trash
from headstart.adapters.facts import adapter
from headstart.adapters.peft import CONFIG, WEIGHTS
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.bank import Weights
from headstart.episode import Example
from headstart.errors import AdapterRefused
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.serve.catalogue import Catalogue
from tests.serve.conftest import loud


@pytest.fixture
def net(own: Base) -> Iterator[Grafted]:
    net = Grafted(own.model, "all-linear")
    yield net
    net.remove()


@pytest.fixture
def catalogue(own: Base, shelf: Shelf, net: Grafted) -> Catalogue:
    return Catalogue(own, shelf, net, 1 << 29)


def same(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(torch.equal(w, other[name]) for name, w in one.items())


def test_a_file_that_was_written_over_is_read_anew(shelf: Shelf, catalogue: Catalogue) -> None:
    first, other = catalogue.content("a"), catalogue.content("b")
    (shelf.path("a") / WEIGHTS).write_bytes((shelf.path("b") / WEIGHTS).read_bytes())
    now = catalogue.content("a")
    assert same(now.weights, other.weights)
    assert now.hash != first.hash


def test_another_name_does_not_make_an_adapter_newer(shelf: Shelf, catalogue: Catalogue) -> None:
    os.utime(shelf.path("a") / CONFIG, (10, 10))
    shelf.rename("a", "renamed")
    [listed] = [it for it in catalogue.listed() if it.name == "renamed"]
    assert listed.created == 10 == adapter(shelf, "renamed")["created"]


def test_what_is_held_does_not_change_with_its_file(shelf: Shelf, catalogue: Catalogue) -> None:
    file = shelf.path("a") / WEIGHTS
    save_file({name: w.float() for name, w in load_file(file).items()}, file)
    held = catalogue.content("a").weights
    before = {name: w.clone() for name, w in held.items()}
    with file.open("r+b") as open_file:
        open_file.seek(-1024, 2)
        open_file.write(bytes(1024))
    assert same(held, before)


def test_an_adapter_looked_at_while_it_is_copied_is_sound_when_it_is_there(shelf: Shelf, catalogue: Catalogue) -> None:
    shutil.copytree(shelf.path("b"), shelf.root / "copy")
    file = shelf.path("copy") / WEIGHTS
    whole = file.read_bytes()
    with file.open("wb") as half:
        half.write(whole[: len(whole) // 2])
        half.flush()
        assert [it.name for it in catalogue.listed() if it.problem] == ["copy"]
        half.write(whole[len(whole) // 2 :])
    assert not any(it.problem for it in catalogue.listed())


def test_a_replacement_between_two_readings_is_read_whole(
    own: Base, shelf: Shelf, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, prefix, written = loud(own, 7), Shelf.prefix, []

    def replaced(it: Shelf, name: str) -> list[Example]:
        if not written:
            written.append(it.write("a", new, {"base": asdict(key_of(own))}, 2, replace=True))
        return prefix(it, name)

    monkeypatch.setattr(Shelf, "prefix", replaced)
    got = catalogue.content("a")
    assert same(got.weights, shelf.read("a", key_of(own)))
    assert catalogue.content("a") is got


def test_an_adapter_that_never_rests_is_refused(shelf: Shelf, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = Shelf.prefix

    def growing(it: Shelf, name: str) -> list[Example]:
        with (it.path(name) / "notes.txt").open("a") as notes:
            notes.write("more")
        return prefix(it, name)

    monkeypatch.setattr(Shelf, "prefix", growing)
    with pytest.raises(AdapterRefused, match="being written"):
        catalogue.content("a")


def test_an_adapter_that_is_called_as_the_base_is_passed_over(shelf: Shelf, catalogue: Catalogue) -> None:
    shelf.rename("a", "tiny-llama")
    assert "what the base is called here" in catalogue.problems()["tiny-llama"]
    assert [it.name for it in catalogue.served([])][1:] == ["b", "c", "d"]


def test_those_used_last_are_held_as_far_as_the_budget_goes(own: Base, shelf: Shelf, net: Grafted) -> None:
    size = Catalogue(own, shelf, net, 0).content("a").bytes
    catalogue = Catalogue(own, shelf, net, 2 * size)
    a, b = catalogue.content("a"), catalogue.content("b")
    assert catalogue.content("a") is a
    catalogue.content("c")
    assert catalogue.content("a") is a, "b was unused for longer"
    assert catalogue.content("b") is not b


def test_what_left_the_shelf_is_held_no_more(shelf: Shelf, catalogue: Catalogue) -> None:
    held = [weakref.ref(catalogue.content(name)) for name in "abc"]
    trash.remove(shelf, "a")
    shelf.rename("b", "else")
    assert [it.name for it in catalogue.listed()] == ["c", "d", "else"]
    gc.collect()
    assert [it() is not None for it in held] == [False, False, True]


def test_what_is_forgotten_is_read_anew(catalogue: Catalogue) -> None:
    first = catalogue.content("a")
    catalogue.forget("a")
    catalogue.forget("a")
    assert catalogue.content("a") is not first
    assert same(catalogue.content("a").weights, first.weights)
