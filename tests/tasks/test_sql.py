"""Made-up query languages: seeded, paired over shots, split apart, and read back as the queries they were written from."""

import random
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import TasksError
from headstart.tasks.family import SPLITS, Lesson, Split
from headstart.tasks.sql import Dialects, options
from headstart.tasks.sql.check import Same
from headstart.tasks.sql.dialect import Dialect, draw_dialect, put
from headstart.tasks.sql.english import Voice, ask, draw_voice
from headstart.tasks.sql.family import _distinct
from headstart.tasks.sql.invented import option, order, symbol
from headstart.tasks.sql.options import Options
from headstart.tasks.sql.query import ALWAYS, Condition, Query, draw_constructs, draw_query, sql
from headstart.tasks.sql.schema import Column, Table, draw_table
from headstart.tasks.words import Side, english, side_of

FAMILY = Dialects()
CREW = Table(
    "crew", (Column("age", (), 18, 70), Column("pay", (), 10, 90), Column("dept", ("ops", "law")), Column("city", ("Rome", "Oslo")))
)
PLAIN = Dialect(
    {
        **{
            "list": "PULL $A",
            "distinct": "ONCE $A",
            "source": "OFF $A",
            "where": "IF $A",
            "limit": "CAP $A",
            "group": "PER $A",
            "join": "+ $A",
        },
        **{"equal": "$A is $B", "unequal": "$A not $B", "above": "$A > $B", "below": "$A < $B", "starts": "$A like $B"},
        **{"between": "$A in $B", "among": "$A of $B", "both": " AND ", "either": " OR ", "rising": "UP $A", "falling": "DOWN $A"},
        **{"join": "+ $A", "count": "TALLY", "sum": "SUM($A)", "mean": "MID($A)", "most": "TOP($A)", "least": "LOW($A)"},
    },
    tuple("source head join where group order limit".split()),
    " | ",
    ", ",
    "$A",
    "$A",
    "'$A'",
    "$A..$B",
    "($A, $B)",
    ";",
)


def test_a_query_is_written_clause_by_clause() -> None:
    query = Query("crew", ("age", "city"), "", False, (Condition("dept", "equal", ("ops",)), Condition("pay", "between", (20, 30))))
    assert PLAIN.render(query, CREW) == "OFF crew | PULL age, city | IF dept is 'ops' AND pay in 20..30;"
    assert PLAIN.render(replace(query, either=True, order="pay", falling=True, limit=3, conditions=query.conditions[:1]), CREW) == (
        "OFF crew | PULL age, city | IF dept is 'ops' | DOWN pay | CAP 3;"
    )
    assert PLAIN.render(Query("crew", ("pay",), "mean", group="dept"), CREW) == "OFF crew | MID(pay) | PER dept;"


def test_plain_sql_says_the_same() -> None:
    query = Query("crew", ("age",), "", True, (Condition("city", "among", ("Rome", "Oslo")), Condition("dept", "starts", ("o",))), True)
    assert sql(query, CREW) == """SELECT DISTINCT "age" FROM "crew" WHERE "city" IN ('Rome', 'Oslo') OR "dept" LIKE 'o%'"""
    assert sql(Query("crew", (), "count", group="dept"), CREW) == 'SELECT "dept", COUNT(*) FROM "crew" GROUP BY "dept"'


@pytest.mark.parametrize("split", SPLITS)
def test_what_a_dialect_writes_is_read_back(split: Split) -> None:
    for number in range(12):
        lesson = FAMILY.lesson(split, number, 6, 6)
        assert isinstance(lesson.check, Same)
        for example in (*lesson.support, *lesson.query):
            plain = lesson.check.dialect.plain(example.completion, lesson.check.table)
            assert plain
            assert lesson.check(example.completion, re.sub(" ", "  ", example.completion) + "\n")


def test_a_task_is_the_same_whenever_it_is_drawn_and_others_are_others() -> None:
    drawn = [told(FAMILY.lesson("train", number, 5, 3)) for number in range(30)]
    assert drawn == [told(FAMILY.lesson("train", number, 5, 3)) for number in range(30)]
    assert len(set(drawn)) == 30
    assert drawn[0] != told(Dialects(1).lesson("train", 0, 5, 3))
    assert drawn[0] != told(FAMILY.lesson("near", 0, 5, 3))


def told(lesson: Lesson) -> str:
    return repr((lesson.support, lesson.query))


@pytest.mark.parametrize("split", SPLITS)
def test_smaller_supports_begin_larger_ones_and_the_queries_stay(split: Split) -> None:
    for number in range(10):
        few, many = (FAMILY.lesson(split, number, shots, 8) for shots in (3, 20))
        assert many.support[:3] == few.support
        assert many.query == few.query
        assert not {e.prompt for e in many.support} & {e.prompt for e in many.query}


def test_ten_examples_show_what_the_queries_use() -> None:
    rng = random.Random(0)
    missing = 0
    for number in range(60):
        lesson = FAMILY.lesson("test", number, 10, 8)
        check = lesson.check
        assert isinstance(check, Same)
        shown, asked = (
            set().union(*(parsed.constructs() for e in some if (parsed := check.dialect.parse(e.completion))))
            for some in (lesson.support, lesson.query)
        )
        missing += len(asked - shown)
    assert missing <= 6
    assert set(ALWAYS) <= draw_constructs(rng, CREW)


def test_words_and_tables_of_one_split_are_in_no_other() -> None:
    for wanted in ("train", "validation", "test"):
        side: Side = wanted  # type: ignore[assignment]
        rng = random.Random(0)
        for _ in range(40):
            table = draw_table(rng, side)
            assert side_of(table.name) == side
            assert {side_of(value) for column in table.columns for value in column.texts} <= {side}
            words = {word.lower() for template in draw_dialect(rng, side).words.values() for word in re.findall("[A-Za-z]{3,}", template)}
            others = {word for other in ("train", "validation", "test") if other != side for word in english(other)}  # type: ignore[arg-type]
            # SQL's own words may stand in any dialect, and END and the like behind it.
            assert not (words & others) - {w.lower() for w in re.findall("[A-Z]+", STANDARD)}


STANDARD = "SELECT DISTINCT FROM WHERE BETWEEN IN LIKE AND OR ASC DESC LIMIT GROUP BY JOIN COUNT SUM AVG MAX MIN ORDER END"


def test_a_right_answer_is_one_that_finds_the_same_rows() -> None:
    same = Same(PLAIN, CREW)
    expected = PLAIN.render(
        Query("crew", ("age",), "", False, (Condition("dept", "equal", ("ops",)), Condition("pay", "above", (30,)))), CREW
    )
    assert same(expected, expected)
    assert same(expected, "OFF crew | PULL age | IF pay > 30 AND dept is 'ops';")
    assert not same(expected, "OFF crew | PULL age | IF pay > 30 OR dept is 'ops';")
    assert not same(expected, "OFF crew | PULL pay | IF dept is 'ops' AND pay > 30;")
    assert not same(expected, "OFF crew | PULL nothing | IF dept is 'ops';")
    assert not same(expected, "PULL age OFF crew")
    nothing = "OFF crew | PULL age | IF pay > 5000;"
    assert not same(nothing, "OFF crew | PULL age | IF pay > 6000;"), "that both find nothing says nothing"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("OFF crew | PULL age | IF pay > 30;", "OFF crew | PULL age | IF pay > 31;"),
        ("OFF crew | TALLY | IF pay is 5000;", "OFF crew | TALLY | IF pay is 6000;"),
        ("OFF crew | TOP(pay) | IF dept is 'ops';", "OFF crew | TOP(pay);"),
        ("OFF crew | PULL age;", "OFF crew | PULL age | IF city not 'Bonn';"),
        ("OFF crew | PULL age | IF pay in 30..60;", "OFF crew | PULL age | IF pay in 60..30;"),
        ("OFF crew | PULL age | UP age;", "OFF crew | PULL age | DOWN age;"),
        ("OFF crew | TALLY | IF pay > 5000000000;", "OFF crew | TALLY | IF pay > 6000000000;"),
    ],
)
def test_rows_are_such_that_near_misses_find_others(right: str, wrong: str) -> None:
    assert PLAIN.parse(right) is not None
    assert PLAIN.parse(wrong) is not None
    assert not Same(PLAIN, CREW)(right, wrong)


def test_neither_conditions_nor_choices_have_an_order() -> None:
    first, second = Condition("dept", "among", ("ops", "law")), Condition("pay", "above", (30,))
    turned = Condition("dept", "among", ("law", "ops"))
    right, said = (PLAIN.render(Query("crew", ("age",), "", False, them), CREW) for them in ((first, second), (second, turned)))
    assert right != said
    assert Same(PLAIN, CREW)(right, said)


def test_the_check_tells_the_answers_of_a_task_apart() -> None:
    alike = 0
    for number in range(25):
        lesson = FAMILY.lesson("test", number, 4, 4)
        answers = [e.completion for e in lesson.query]
        alike += sum(lesson.check(a, b) for a in answers for b in answers if a != b)
    assert alike <= 6


@given(st.text(max_size=60))
def test_the_check_takes_anything(text: str) -> None:
    assert not Same(PLAIN, CREW)("OFF crew | PULL age;", text)


def test_a_question_names_all_that_its_query_needs() -> None:
    rng = random.Random(0)
    for _ in range(300):
        table = draw_table(rng, "train")
        query = draw_query(table, draw_constructs(rng, table), rng)
        said = ask(query, table, Voice("", False, False, ""), rng)
        named = [*query.columns, *(c.column for c in query.conditions), query.group, query.order, query.table]
        assert all(name in said for name in named)
        assert all(str(value) in said for c in query.conditions for value in c.values)
        assert str(query.limit or "") in said


def test_a_voice_may_show_the_schema_and_say_names_in_plain_words() -> None:
    table = Table("crew", (Column("unit_price", (), 1, 9), Column("homeCity", ("Rome", "Oslo"))))
    said = ask(Query("crew", ("unit_price", "homeCity")), table, Voice("Query: ", True, True, "?"), random.Random(3))
    assert said.startswith("crew(unit_price, homeCity)\nQuery: ")
    assert "unit price and home city" in said
    assert said.endswith("?")
    assert len({repr(draw_voice(random.Random(seed))) for seed in range(60)}) > 15


def test_holes_are_filled_once() -> None:
    assert put("$A in $B", "$B", "x") == "$B in x"
    assert put("K", "unused") == "K"


def test_a_table_too_small_for_what_is_asked_is_refused() -> None:
    tiny = Table("crew", (Column("age", (), 1, 2), Column("dept", ("ops", "law")), Column("city", ("Rome", "Oslo"))))
    assert len(set(_distinct(tiny, frozenset(ALWAYS), random.Random(0), frozenset(), 10))) == 10
    with pytest.raises(TasksError, match="A table of 3 columns has too few different queries"):
        _distinct(tiny, frozenset(ALWAYS), random.Random(0), frozenset(), 2000)


def test_what_is_invented_is_never_an_option_of_validation_or_test() -> None:
    slots = ("CLAUSE", "TEST", "FOLD", "COUNT", "SPAN", "MANY", "QUOTE", "COLUMN", "TABLE", "BETWEEN", "LIST", "END")
    draws: dict[str, Callable[[random.Random], str]] = {slot: partial(option, slot, wanted="train") for slot in slots}
    draws |= {"SYMBOLS": partial(symbol, wanted="train"), "ORDERS": partial(order, wanted="train")}
    for slot, draw in draws.items():
        listed, rng = getattr(options, slot), random.Random(slot)
        met = {draw(rng) for _ in range(800)}
        assert not {*listed.validation, *listed.test} & met
        assert len(met - set(listed.train)) > 8


def test_most_dialects_of_training_have_a_notation_of_their_own() -> None:
    drawn = [draw_dialect(random.Random(seed), "train") for seed in range(60)]
    assert len({d.quote for d in drawn}) > 20
    assert len({d.order for d in drawn}) > 20
    assert all(d.order[0] in ("head", "source") for d in drawn)


def test_what_is_kept_is_passed_over_when_something_is_invented(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {option("COUNT", random.Random(seed), "train") for seed in range(300)} - set(options.COUNT.train)
    monkeypatch.setattr(options, "COUNT", Options(options.COUNT.train, tuple(told), ()))
    assert not {option("COUNT", random.Random(seed), "train") for seed in range(300)} & told


def test_a_limit_that_is_no_number_is_no_query() -> None:
    assert PLAIN.plain("OFF crew | PULL age | CAP 3;", CREW) is not None
    assert PLAIN.plain("OFF crew | PULL age | CAP many;", CREW) is None
