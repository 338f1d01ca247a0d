"""`headstart adapters push`, against a stand-in of the hub: what goes out, and what does not."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from headstart.adapters import peft, push
from headstart.adapters.starts import Starts, Stride
from headstart.adapters.store import PREFIX, RECORD, Shelf
from headstart.adapters.wear import key_of
from headstart.episode import Example
from headstart.lm.load import Base
from tests.commands.conftest import FACTS, FIVE
from tests.commands.hub_stand_in import Hub
from tests.conftest import Told
from tests.serve.conftest import BEFORE, loud

Run = Callable[..., Told]


def test_the_card_says_all_that_is_known(headstart: Run, hub: Hub, shelf: Shelf, tiny: Base) -> None:
    hub.put("some/base", {"README.md": b"---\nlicense: mit\n---\n"})
    Starts().own.write("mine", loud(tiny, 3), {"kind": "start", "base": asdict(key_of(tiny)), "licence": "CC BY-SA 4.0"}, 4)
    record = FACTS | {"base": asdict(replace(key_of(tiny), name="some/base")), "start": "mine"}
    shelf.write("named", loud(tiny, 4), record, 4)
    told = headstart("adapters", "push", "named", "jane/named", "--about", "Says colours.", "--licence", "CC BY 4.0", "--json")
    assert told.code == 0, told.err
    card = hub.repos["jane/named"].files["README.md"].decode()
    front = {"base_model": "some/base", "library_name": "peft", "license": "cc-by-4.0", "tags": ["lora", "headstart"]}
    assert yaml.safe_load(card.split("---\n")[1]) == front
    for fact in (
        "Says colours.",
        "7 examples in 1.2 s (9 steps, start: mine)",
        "| base | 0 % | 3.500 |",
        "| base, the examples in the prompt | 25 % | 1.500 |",
        "| adapter | 75 % | 0.125 |",
        "Use the adapter.",
        f"examples: SHA-256 `{'e' * 64}`",
        f"base: SHA-256 `{tiny.content_hash}`",
        "512 MB",
        "licence of the base: mit",
        "licence of the start `mine`: CC BY-SA 4.0",
        "licence of the examples and of this adapter: CC BY 4.0",
        "made with: headstart 0.1.0",
        "headstart adapters pull jane/named",
    ):
        assert fact in card
    assert json.loads(hub.repos["jane/named"].files[RECORD])["base_licence"] == "mit"


def test_what_nobody_could_pull_is_not_published(headstart: Run, hub: Hub, shelf: Shelf, tiny: Base) -> None:
    hub.put("some/base", {"README.md": b'---\nlicense: "m\\eit"\n---\n'})
    shelf.write("named", loud(tiny, 4), FACTS | {"base": asdict(replace(key_of(tiny), name="some/base"))}, 4)
    for about, licence, wrong in (
        ("a\rb", "mit", "--about"),
        ("a", "m\x1bit", "--licence"),
        ("gr\udcfc\x9b", "\x7f", "--about and --licence"),
    ):
        told = headstart("adapters", "push", "named", "jane/named", "--about", about, "--licence", licence)
        assert (told.code, told.out) == (1, "")
        assert f"error: {wrong} may hold neither control codes" in told.err
    assert "jane/named" not in hub.repos
    both = "SQL \u2067של החברה\u2069 (v2)"
    assert headstart("adapters", "push", "named", "jane/named", "--about", both, "--licence", both).code == 0
    told = headstart("adapters", "pull", "jane/named", "--name", "back")
    assert told.code == 0, told.err
    said = {"about": both, "licence": both}
    assert said.items() <= shelf.record("back").items()
    assert "base_licence" not in shelf.record("back")


def test_no_path_of_this_machine_goes_out(headstart: Run, hub: Hub, shelf: Shelf, base_folder: Path) -> None:
    record = shelf.path("plain") / RECORD
    record.write_text(json.dumps(json.loads(record.read_text()) | {"notes": [{"file": str(base_folder / "x.jsonl")}, "~/y", "C:\\z\\w"]}))
    told = headstart("adapters", "push", "plain", "jane/plain")
    assert told.code == 0, told.err
    assert f"it is named '{base_folder.name}' there" in told.err
    assert "states no licence" in told.err
    files = hub.repos["jane/plain"].files
    assert set(files) == FIVE - {PREFIX} | {".gitattributes"}
    assert not any(str(base_folder.parent).encode() in content for content in files.values())
    assert json.loads(files[RECORD])["notes"] == [{"file": "x.jsonl"}, "y", "w"]
    assert json.loads(files[peft.CONFIG])["base_model_name_or_path"] == base_folder.name
    front = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    assert "base_model" not in front
    assert "license" not in front


def test_examples_are_published_only_when_that_is_said(headstart: Run, hub: Hub, shelf: Shelf) -> None:
    told = headstart("adapters", "push", "kept", "jane/kept")
    assert (told.code, told.out) == (1, "")
    assert "keeps 2 of your examples" in told.err
    assert "--yes" in told.err
    assert hub.repos == {}


def test_what_leave_was_asked_for_is_published_whoever_replaces_it_meanwhile(
    headstart: Run, hub: Hub, shelf: Shelf, tiny: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = (shelf.path("plain") / peft.WEIGHTS).read_bytes()
    new = {"base": asdict(key_of(tiny)), "prefix": 2, "system": "secret"}
    monkeypatch.setattr(push, "logged_in", lambda: shelf.write("plain", loud(tiny, 5), new, 4, BEFORE, replace=True))
    assert headstart("adapters", "push", "plain", "jane/plain").code == 0
    files = hub.repos["jane/plain"].files
    assert (files[peft.WEIGHTS], PREFIX in files) == (weights, False)
    assert not any(b"secret" in content for content in files.values())


def test_leave_is_asked_for_what_is_published(headstart: Run, hub: Hub, shelf: Shelf, tiny: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix, new = Shelf.prefix, {"base": asdict(key_of(tiny)), "prefix": 2}

    def replaced(it: Shelf, name: str) -> list[Example]:
        kept = prefix(it, name)
        if not kept:
            shelf.write("plain", loud(tiny, 5), new, 4, BEFORE, replace=True)
        return kept

    monkeypatch.setattr(Shelf, "prefix", replaced)
    told = headstart("adapters", "push", "plain", "jane/plain")
    assert (told.code, "keeps 2 of your examples" in told.err, hub.repos) == (1, True, {})


def test_a_system_message_is_published_only_when_that_is_said(headstart: Run, hub: Hub, shelf: Shelf, tiny: Base) -> None:
    # What begins like a path is none.
    shelf.write("told", loud(tiny, 1), {"base": asdict(key_of(tiny)), "system": "/be terse"}, 4)
    told = headstart("adapters", "push", "told", "jane/told")
    assert (told.code, hub.repos) == (1, {})
    assert "taught under a system message" in told.err
    assert headstart("adapters", "push", "told", "jane/told", "--yes").code == 0
    assert "system message of its maker's" in headstart("adapters", "pull", "jane/told", "--name", "back").out
    assert shelf.system("back") == "/be terse"


def test_a_second_push_takes_away_what_the_first_alone_had(headstart: Run, hub: Hub, shelf: Shelf) -> None:
    assert headstart("adapters", "push", "kept", "jane/it", "--yes").code == 0
    assert headstart("adapters", "push", "plain", "jane/it").code == 0
    assert PREFIX not in hub.repos["jane/it"].files
    first = hub.repos["jane/it"].commits[1][0]
    assert headstart("adapters", "pull", "jane/it", "--revision", first, "--json").json["prefix"] == 2
    told = headstart("adapters", "pull", "jane/it")
    assert (told.code, "--replace" in told.err) == (1, True)
    told = headstart("adapters", "pull", "jane/it", "--replace")
    assert (told.code, shelf.prefix("it")) == (0, [])


def test_private_is_private_or_refused(headstart: Run, hub: Hub, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    assert headstart("adapters", "push", "plain", "jane/own", "--private", "--json").json["private"] is True
    assert headstart("adapters", "push", "plain", "jane/open").code == 0
    told = headstart("adapters", "push", "plain", "jane/open", "--private")
    assert (told.code, "is public" in told.err) == (1, True)
    assert len(hub.repos["jane/open"].commits) == 2
    monkeypatch.delenv("HF_TOKEN")
    told = headstart("adapters", "pull", "jane/own")
    assert (told.code, "or it is private: log in" in told.err) == (1, True)


def test_a_start_is_pushed_and_begun_from_where_it_is_pulled(headstart: Run, hub: Hub, tiny: Base) -> None:
    record = {"kind": "start", "base": asdict(key_of(tiny)), "about": "dialects", "steps": 5, "rate": 0.01, "licence": "mit"}
    Starts().own.write("mine", loud(tiny, 3), record, 4)
    assert headstart("adapters", "push", "mine", "jane/mine").code == 0
    assert "--start mine" in hub.repos["jane/mine"].files["README.md"].decode()
    assert headstart("adapters", "pull", "jane/mine", "--name", "theirs").code == 0
    begun = Starts().read("theirs", key_of(tiny))
    assert begun.behind == Stride(5, 0.01)


def test_people_are_told_what_came(headstart: Run, hub: Hub, shelf: Shelf) -> None:
    pushed = headstart("adapters", "push", "kept", "jane/kept", "--yes").out
    assert f"'kept' is at {hub.url}/jane/kept (public, commit" in pushed
    shutil.rmtree(shelf.path("kept"))
    told = headstart("adapters", "pull", "jane/kept").out
    assert "2 examples of its maker's in front of every prompt" in told
    assert str(shelf.path("kept")) in told


def test_the_guide_s_commands_work_as_written(headstart: Run, hub: Hub, shelf: Shelf) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "share.md").read_text(encoding="utf-8")
    lines = [shlex.split(line) for line in re.findall(r"^\$ headstart (adapters .+)$", guide, re.MULTILINE)]
    assert [line[1] for line in lines] == ["push", "pull", "pull"]
    shelf.path("plain").rename(shelf.root / "my-dialect")
    for line in lines:
        told = headstart(*line)
        assert told.code == 0, told.err
        shutil.rmtree(shelf.root / "my-dialect", ignore_errors=True)
    assert shelf.names() == ["kept", "theirs"]
