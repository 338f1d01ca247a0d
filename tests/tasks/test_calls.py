"""Calls: new names in one style, arguments in any order, and nothing that is ever run."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path

import pytest

from headstart.errors import ExamplesError
from headstart.tasks.calls import Calls, parsed, same_call
from headstart.tasks.family import SPLITS

SPOKEN = 'Book(day="the 1st", place="Bar \\"One\\"")'


def write(path: Path) -> Path:
    def pairs(g: int) -> list[list[str]]:
        bare = [[f"{g}: do {i}", f"Do{i % 2}()"] for i in range(60)]
        return bare + [[f"{g}: do {i} on {i}", f'Do{i % 2}(day="{i}", slot_{i % 3}="é \\"x\\"")'] for i in range(20)]

    rows = [{"task": f"s{g}", "group": f"domain {g}", "examples": pairs(g)} for g in range(6)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.mark.parametrize(
    "same", [SPOKEN, 'Book(place="Bar \\"One\\"", day="the 1st")', "Book( day='the 1st',place='Bar \"One\"' )", f" {SPOKEN}\n"]
)
def test_order_quotes_and_spaces_do_not_matter(same: str) -> None:
    assert same_call(SPOKEN, same)


@pytest.mark.parametrize(
    "other",
    [
        'book(day="the 1st", place="Bar \\"One\\"")',
        'Book(day="the 2nd", place="Bar \\"One\\"")',
        'Book(day="the 1st")',
        'Book(day="the 1st", place="Bar \\"One\\"", more="x")',
        'Book(day="the 1st", day="the 1st", place="Bar \\"One\\"")',
        'Book("the 1st", place="Bar \\"One\\"")',
        'Book(day="the 1st", **{"place": "Bar"})',
        f"{SPOKEN}; {SPOKEN}",
        "",
    ],
)
def test_other_calls_are_wrong(other: str) -> None:
    assert not same_call(SPOKEN, other)


def test_values_of_other_types_are_other_values() -> None:
    assert not same_call('F(a="1")', "F(a=1)")
    assert not same_call("F(a=True)", "F(a=1)")
    assert not same_call("F(a=-1)", "F(a=1)")
    assert same_call("F(a=-1)", "F(a= - 1)")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "f",
        "f(1)",
        "a.f()",
        "f(a=g())",
        "f(*a)",
        "f(**a)",
        "f(a=b'x')",
        "f(a=1j)",
        "f(a=-1j)",
        "f(a=-True)",
        "f(a=1-2)",
        "f(a=inf)",
        "f(a=...)",
        "(" * 1000,
        "f(a=" + "'" * 3,
        "\x00",
        "f()" * 900,
    ],
)
def test_what_is_no_call_of_constants_is_none(text: str) -> None:
    assert parsed(text) is None


def test_every_name_is_new_and_in_one_task_the_same(tmp_path: Path) -> None:
    family = Calls.read(write(tmp_path / "calls.jsonl"))
    seen: set[str] = set()
    for split in SPLITS:
        for number in range(25):
            lesson = family.lesson(split, number, 8, 4)
            calls = [parsed(e.completion) for e in (*lesson.support, *lesson.query)]
            names = {name for call in calls if call for name in call.names}
            assert all(calls)
            assert all(name.isidentifier() for name in names)
            assert not names & {"Do0", "Do1", "day", "slot_0", "slot_1", "slot_2"}
            assert len(names) <= 6
            seen |= names
    assert len(seen) > 250


def test_values_are_written_as_they_were(tmp_path: Path) -> None:
    rows = [
        {
            "task": f"s{g}",
            "group": f"d{g}",
            "examples": [[f"{g} {i}", f'F(ok=True, n=None, x=1.5, low=-3, far=-1e999, name="é{i}")'] for i in range(9)],
        }
        for g in range(3)
    ]
    (tmp_path / "calls.jsonl").write_text("\n".join(map(json.dumps, rows)))
    lesson = Calls.read(tmp_path / "calls.jsonl", room=4).lesson("test", 0, 4, 2)
    for example in lesson.query:
        call = parsed(example.completion) or pytest.fail(example.completion)
        *plain, name = call.values.values()
        assert (plain, str(name)[0]) == ([True, None, 1.5, -3, -inf], "é")
        assert '"é' in example.completion


def test_about_half_have_arguments(tmp_path: Path) -> None:
    family = Calls.read(write(tmp_path / "calls.jsonl"))
    queries = [e.completion for number in range(100) for e in family.lesson("train", number, 8, 4).query]
    assert 0.4 < sum(not query.endswith("()") for query in queries) / len(queries) < 0.6


def test_the_support_shows_the_names_that_the_queries_need(tmp_path: Path) -> None:
    family = Calls.read(write(tmp_path / "calls.jsonl"))
    for split in SPLITS:
        for number in range(25):
            lesson = family.lesson(split, number, 6, 2)
            shown = {name for e in lesson.support for name in (parsed(e.completion) or pytest.fail("no call")).names}
            assert all((parsed(e.completion) or pytest.fail("no call")).names <= shown for e in lesson.query)


def test_a_file_of_other_outputs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text(json.dumps({"task": "t", "group": "g", "examples": [["a", "F()"], ["b", "no call"], ["c", "F(1)"]]}))
    with pytest.raises(ExamplesError, match=r"2 outputs of .* are not of the form(.|\n)*t: no call\n  t: F\(1\)"):
        Calls.read(path)
