"""What holds for every family of text tasks from files, on small files made here and on the data sets where there are any."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import TasksError
from headstart.tasks.calls import Calls, same_call
from headstart.tasks.collection import Collection, same_words
from headstart.tasks.commands import Commands, same_command
from headstart.tasks.family import SPLITS, Family, Lesson, Split
from headstart.tasks.labels import Labels
from tests.tasks.test_strings import inflection, strings

SHOTS, QUERIES = 4, 2
APART: tuple[Split, ...] = ("train", "validation", "test")


def lines(path: Path, tasks: list[tuple[str, str, list[tuple[str, str]]]]) -> Path:
    path.write_bytes(
        gzip.compress("".join(json.dumps({"task": t, "group": g, "examples": pairs}) + "\n" for t, g, pairs in tasks).encode())
    )
    return path


def plain_lines(folder: Path) -> Path:
    tasks = [(f"{g}/{t}", f"group {g}", [(f"of {g} {t} is {i}", f"{i}, {t}") for i in range(30)]) for g in range(8) for t in range(2)]
    return lines(folder / "plain.jsonl.gz", tasks)


def plain_folder(folder: Path) -> Path:
    for g in range(8):
        place = folder / "tasks" / f"group {g}"
        place.mkdir(parents=True)
        for t in range(2):
            rows = [json.dumps({"prompt": f"of {g} {t} is {i}", "completion": f"{i}, {t}"}) for i in range(30)]
            (place / f"{t}.jsonl").write_text("\n".join(rows))
    return folder / "tasks"


def pages(folder: Path) -> Path:
    def page(name: str, verb: str) -> list[tuple[str, str]]:
        return [(f"{verb} file {i} with `{name}`", f"{name} {verb} {{{{[-f|--file]}}}} {{{{path/{i}}}}}") for i in range(15)]

    return lines(folder / "pages.jsonl.gz", [(f"p{g}-{verb}", f"p{g}", page(f"p{g}", verb)) for g in range(9) for verb in ("add", "cut")])


def services(folder: Path) -> Path:
    def service(g: int) -> list[tuple[str, str]]:
        bare = [(f"in domain {g} do thing {i}", f"Do{i % 2}()") for i in range(50)]
        return bare + [(f"in domain {g} do thing {i} on day {i}", f'Do{i % 2}(day="{i}", place_{i % 3}="x y")') for i in range(20)]

    return lines(folder / "services.jsonl.gz", [(f"s{g}", f"domain {g}", service(g)) for g in range(6)])


def topics(folder: Path) -> Path:
    return lines(folder / "topics.jsonl.gz", [(f"t{c}", "all", [(f"text {i} of {c}", f"class_{c}") for i in range(40)]) for c in range(20)])


@dataclass(frozen=True)
class Kind:
    open: Callable[[Path], Any]
    make: Callable[[Path], Path]
    real: str = ""


KINDS = {
    "folder": Kind(Collection.read, plain_folder),
    "lines": Kind(Collection.read, plain_lines),
    "strings": Kind(strings, plain_lines, "strings_prose"),
    "inflection": Kind(inflection, plain_lines, "inflection_unimorph"),
    "commands": Kind(Commands.read, pages, "commands_tldr"),
    "calls": Kind(Calls.read, services, "calls_sgd"),
    "labels": Kind(Labels.read, topics, "intents_clinc150"),
    "more labels": Kind(Labels.read, topics, "intents_banking77"),
}
CASES = [*(name for name in KINDS if name != "more labels"), *(f"{name}, real" for name, kind in KINDS.items() if kind.real)]


@dataclass(frozen=True)
class Opened:
    family: Family
    again: Family


@pytest.fixture(scope="module", params=CASES)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    name, _, real = request.param.partition(", ")
    kind = KINDS[name]
    if real:
        path: Path = request.getfixturevalue("shared") / "data" / "tasks" / f"{kind.real}.jsonl.gz"
        if not path.is_file():
            pytest.skip(f"there is no data set '{path.name}' in the shared folder")
    else:
        path = kind.make(tmp_path_factory.mktemp(name.replace(" ", "_")))
    return Opened(kind.open(path), kind.open(path))


@pytest.fixture
def family(opened: Opened) -> Family:
    return opened.family


def lessons(family: Family, split: Split, count: int = 20) -> list[Lesson]:
    return [family.lesson(split, number, SHOTS, QUERIES) for number in range(count)]


def test_a_family_that_is_sent_to_another_process_has_the_same_tasks(family: Family) -> None:
    sent = pickle.loads(pickle.dumps(family))
    for mine, other in zip(lessons(family, "train", 5), lessons(sent, "train", 5), strict=True):
        assert (mine.support, mine.query) == (other.support, other.query)


def test_a_lesson_is_as_large_as_asked(family: Family) -> None:
    for split in SPLITS:
        for lesson in lessons(family, split):
            assert (len(lesson.support), len(lesson.query)) == (SHOTS, QUERIES)


@pytest.mark.parametrize("split", SPLITS)
def test_a_lesson_is_the_same_whenever_and_wherever_it_is_drawn(opened: Opened, split: Split) -> None:
    backwards = [opened.again.lesson(split, number, SHOTS, QUERIES) for number in reversed(range(20))]
    assert lessons(opened.family, split) == lessons(opened.family, split) == backwards[::-1]
    assert len({lesson.query for lesson in backwards}) > 10


@pytest.mark.parametrize("split", SPLITS)
def test_a_smaller_support_begins_a_larger_one_and_the_queries_stay(family: Family, split: Split) -> None:
    for number, whole in enumerate(lessons(family, split)):
        for shots in range(SHOTS):
            lesson = family.lesson(split, number, shots, QUERIES)
            assert lesson.support == whole.support[:shots]
            assert lesson.query == whole.query


@pytest.mark.parametrize("split", SPLITS)
def test_nothing_that_is_asked_was_shown(family: Family, split: Split) -> None:
    for lesson in lessons(family, split):
        prompts = [example.prompt for example in (*lesson.support, *lesson.query)]
        assert len(set(prompts)) == len(prompts)


def test_no_example_is_of_two_splits(family: Family) -> None:
    pairs = {
        split: {(e.prompt, e.completion) for lesson in lessons(family, split, 60) for e in (*lesson.support, *lesson.query)}
        for split in APART
    }
    assert len(set.union(*pairs.values())) == sum(map(len, pairs.values()))
    near = {(e.prompt, e.completion) for lesson in lessons(family, "near", 60) for e in lesson.query}
    assert not near & set.union(*pairs.values())


def test_no_group_is_of_two_splits(family: Family) -> None:
    if isinstance(family, Labels):
        groups = {split: {topic.name for topic in family.topics[split]} for split in SPLITS}
    else:
        base = family.pages if isinstance(family, Commands) else family.services if isinstance(family, Calls) else family
        assert isinstance(base, Collection)
        groups = {split: {pool.task.group for pool in base.dealt.pools[split]} for split in SPLITS}
        asked = {split: {e for pool in base.dealt.pools[split] for e in pool.asked} for split in SPLITS}
        assert len(set.union(*asked.values())) == sum(map(len, asked.values()))
    assert groups["near"] == groups["train"]
    assert all(groups[split] for split in APART)
    assert len(set.union(*groups.values())) == sum(len(groups[split]) for split in APART)


@pytest.mark.parametrize("split", SPLITS)
def test_the_expected_answer_is_right_and_a_changed_one_is_not(family: Family, split: Split) -> None:
    for lesson in lessons(family, split):
        for expected in (example.completion for example in lesson.query):
            assert lesson.check(expected, expected)
            assert lesson.check(expected, f" {expected}\n")
            for changed in ("", f"{expected}x", f"x{expected}", expected[:-1], expected[::-1] + "x"):
                assert not lesson.check(expected, changed)


JUNK = [
    "",
    "\x00",
    "'",
    '"',
    "\\",
    "(" * 5000,
    "-" * 1999 + "1",
    "9" * 1999,
    "f(",
    "f(1)",
    "f(*a)",
    "f(**a)",
    "f(a=b)",
    'f(a="\\d")',
    "\ud800",
]


@pytest.mark.parametrize("check", [same_words, same_command, same_call])
@given(one=st.one_of(st.sampled_from(JUNK), st.text()), other=st.one_of(st.sampled_from(JUNK), st.text()))
def test_a_check_takes_anything(check: Callable[[str, str], bool], one: str, other: str) -> None:
    assert check(one, one)
    assert check(one, other) == check(other, one)


def test_more_examples_than_any_task_has_are_refused(family: Family) -> None:
    for split in SPLITS:
        with pytest.raises(TasksError, match=rf"100000 support .*{QUERIES} queries"):
            family.lesson(split, 0, 100_000, QUERIES)
        with pytest.raises(TasksError, match="100000 queries"):
            family.lesson(split, 0, SHOTS, 100_000)
