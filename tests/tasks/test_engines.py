"""Real engines' query languages: seeded, paired over shots, split apart, readable, and checked by what they find."""

import random
from pathlib import Path

import pytest
import sqlglot

from headstart.tasks.family import SPLITS, Lesson, Split, side_for
from headstart.tasks.sql.engines import ENGINES, Engines
from headstart.tasks.sql.ran import Ran
from headstart.tasks.sql.schema import Column, Table
from headstart.tasks.sql.twists import HEADS, TESTS, draw_twist, widened

FAMILY = Engines()
CREW = Table(
    "crew", (Column("age", (), 18, 70), Column("pay", (), 10, 90), Column("dept", ("ops", "law")), Column("city", ("Rome", "Oslo")))
)
WIDE = widened(random.Random(0), CREW, "train")


def lessons(split: Split, count: int = 4) -> list[Lesson]:
    return [FAMILY.lesson(split, number, 4, 2) for number in range(count)]


def told(lesson: Lesson) -> str:
    return repr((lesson.support, lesson.query))


@pytest.mark.parametrize("split", SPLITS)
def test_every_answer_is_its_engine_s_and_right_however_it_is_spaced(split: Split) -> None:
    for lesson in lessons(split):
        check = lesson.check
        assert isinstance(check, Ran)
        assert check.engine in ENGINES[side_for(split)]
        for example in (*lesson.support, *lesson.query):
            assert check.read(example.completion) is not None
            assert check(example.completion, example.completion.replace(" FROM ", "\n  from ") + ";")
            assert not check(example.completion, example.completion.replace("SELECT", "CHOOSE"))


@pytest.mark.parametrize("split", SPLITS)
def test_a_task_is_the_same_whenever_it_is_drawn_and_a_smaller_support_begins_a_larger_one(split: Split) -> None:
    drawn = lessons(split)
    assert [told(lesson) for lesson in drawn] == [told(lesson) for lesson in lessons(split)]
    assert len({told(lesson) for lesson in drawn}) == len(drawn)
    for number, lesson in enumerate(drawn):
        few = FAMILY.lesson(split, number, 2, 2)
        assert (few.support, few.query) == (lesson.support[:2], lesson.query)
        assert not {e.prompt for e in lesson.support} & {e.prompt for e in lesson.query}


def test_no_question_has_its_answer_among_the_examples() -> None:
    # Two questions in other words may have the same answer: in this task they do.
    lesson = FAMILY.lesson("test", 12, 10, 4)
    answers = [it.completion for it in (*lesson.support, *lesson.query)]
    assert len({*answers}) == len(answers)


def test_no_engine_is_in_two_splits_and_sqlglot_has_them_all() -> None:
    names = [name for some in ENGINES.values() for name in some]
    assert len(set(names)) == len(names)
    for name in names:
        assert sqlglot.Dialect.get_or_raise(name)


def test_engines_write_most_queries_otherwise_than_others_do() -> None:
    answers = [(lesson, e.completion) for split in ("train", "test") for lesson in lessons(split, 8) for e in lesson.support]  # type: ignore[arg-type]
    unlike = [text != sqlglot.transpile(text, read=lesson.check.engine, write="duckdb")[0] for lesson, text in answers]  # type: ignore[attr-defined]
    assert sum(unlike) > len(unlike) / 4
    assert not any("NULLS" in text or "IS NULL" in text for _, text in answers)


def test_a_right_answer_is_one_that_finds_the_same_rows() -> None:
    ran = Ran("tsql", WIDE)
    expected = "SELECT TOP 3 [age] FROM [crew] WHERE [dept] = 'ops' AND [pay] > 30 ORDER BY [age]"
    assert ran(expected, "SELECT TOP 3 age FROM crew WHERE pay > 30 AND dept = 'ops' ORDER BY age")
    assert not ran(expected, "SELECT TOP 3 age FROM crew WHERE pay > 30 OR dept = 'ops' ORDER BY age DESC")
    assert not ran(expected, "SELECT TOP 3 wage FROM crew")
    assert not ran("SELECT age FROM crew WHERE pay > 5000", "SELECT age FROM crew WHERE pay > 6000"), "that both find nothing says nothing"


def test_what_cannot_be_run_is_compared_as_it_reads() -> None:
    ran, joined = Ran("tsql", WIDE), "SELECT [dept] + '-' + [city] FROM [crew]"
    assert ran.found(ran.read(joined)) is None
    assert ran(joined, "select [dept]  + '-' + [city] from [crew]")
    assert not ran(joined, "SELECT [city] + '-' + [dept] FROM [crew]")
    turned = [f"{joined} WHERE {condition}" for condition in ("[dept] = 'ops' AND [pay] > 30", "[pay] > 30 AND [dept] = 'ops'")]
    assert ran(*turned)


@pytest.mark.parametrize(
    ("engine", "said", "foreign"),
    [
        ("tsql", "SELECT TOP 3 age FROM crew ORDER BY age", "SELECT age FROM crew ORDER BY age LIMIT 3"),
        ("oracle", "SELECT age FROM crew ORDER BY age FETCH FIRST 3 ROWS ONLY", "SELECT age FROM crew ORDER BY age LIMIT 3"),
        ("tsql", "SELECT DATEPART(MONTH, hired) FROM crew", "SELECT EXTRACT(MONTH FROM hired) FROM crew"),
    ],
)
def test_another_engine_s_words_are_wrong(engine: str, said: str, foreign: str) -> None:
    """Though sqlglot reads them and they find the same."""
    ran = Ran(engine, WIDE)
    assert ran.read(foreign) is not None
    assert not ran(said, foreign)
    assert ran(said, said.lower().replace("(", "( "))


def test_unequal_has_two_signs() -> None:
    assert Ran("tsql", WIDE)("SELECT age FROM crew WHERE pay <> 30", "SELECT age FROM crew WHERE pay != 30")


def test_a_near_miss_finds_other_rows() -> None:
    ran = Ran("tsql", WIDE)
    assert not ran("SELECT age FROM crew WHERE pay > 30", "SELECT age FROM crew WHERE pay > 31")
    assert not ran("SELECT COUNT(*) FROM crew WHERE pay = 5000", "SELECT COUNT(*) FROM crew WHERE pay = 6000")


@pytest.mark.parametrize("got", ["", "DROP TABLE crew", "SELECT 1; SELECT 2", "((((", "SELECT '", "age of crew"])
def test_what_is_no_query_is_wrong(got: str) -> None:
    assert not Ran("oracle", WIDE)("SELECT age FROM crew", got)


@pytest.mark.parametrize("part", ["DATE_PART(MONTH)", "DATE_PART(age)"])
def test_what_reads_and_cannot_be_written_is_wrong(part: str) -> None:
    # sqlglot reads it as a part of nothing, and its writer for DuckDB ends in an AttributeError.
    assert not Ran("snowflake", WIDE)("SELECT age FROM crew", f"SELECT {part} FROM crew")


def test_an_answer_reads_no_files(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("age\n7\n")
    ran = Ran("duckdb", WIDE)
    for text in (f"SELECT age FROM read_csv('{tmp_path}/secret.csv')", f"SELECT age FROM '{tmp_path}/secret.csv'"):
        tree = ran.read(text)
        assert tree is None or ran.found(tree) is None


@pytest.mark.parametrize("name", [*HEADS, *TESTS])
def test_every_twist_finds_something_and_is_said(name: str) -> None:
    twist, ran = draw_twist(name, WIDE, random.Random(1)), Ran("duckdb", WIDE)
    said = f'SELECT {twist.sql} FROM "crew"' if name in HEADS else f'SELECT "age" FROM "crew" WHERE {twist.sql}'
    tree = ran.read(said)
    assert tree is not None
    assert ran.found(tree)
    assert any(column.name in twist.phrase for column in WIDE.columns)
    assert "{" not in twist.phrase + twist.sql


def test_engines_find_the_same_rows() -> None:
    first, again = (ran.found(ran.read("SELECT age FROM crew")) for ran in (Ran("duckdb", CREW), Ran("mysql", CREW)))
    assert first == again
    assert first
