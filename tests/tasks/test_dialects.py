import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.tasks.dialects import TABLES, Dialect, Query, Table, ask, draw_dialect, draw_query, draw_task, render

CONSTRUCTS = {"select", "count", "mean", "equal", "above", "below", "rising", "falling"}
DIALECT = Dialect("GET {}", "IN {}", "IF {}", "{} IS {}", "{} > {}", "{} < {}", "UP {}", "DOWN {}", "#{}", "NUM", "AVG {}", ";;")
CREW = TABLES[0]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (Query(("name", "age")), "GET name, age IN crew;;"),
        (Query(("name",), condition=("dept", "equal", "ops")), "GET name IN crew IF dept IS 'ops';;"),
        (Query(("name",), condition=("age", "above", 30), order=("age", "falling", 3)), "GET name IN crew IF age > 30 DOWN age #3;;"),
        (Query(("age",), "mean", ("city", "equal", "Rome")), "AVG age IN crew IF city IS 'Rome';;"),
        (Query((), "count", ("age", "below", 40)), "NUM IN crew IF age < 40;;"),
    ],
)
def test_a_query_is_rendered_in_its_dialect(query: Query, text: str) -> None:
    assert render(query, CREW, DIALECT) == text


@pytest.mark.parametrize("seed", [0, 7])
def test_a_task_is_reproduced_from_its_seed(seed: int) -> None:
    assert draw_task(seed, 5, 5) == draw_task(seed, 5, 5)
    assert draw_task(seed, 5, 5) != draw_task(seed + 1, 5, 5)


def test_dialects_differ_by_seed() -> None:
    assert draw_dialect(3) == draw_dialect(3)
    assert len({draw_dialect(seed) for seed in range(200)}) == 200


def test_more_queries_leave_the_support_and_the_first_queries_as_they_are() -> None:
    support, query = draw_task(4, 6, 3)
    longer = draw_task(4, 6, 9)
    assert longer[1][:3] == query
    assert sorted(e.prompt for e in longer[0]) == sorted(e.prompt for e in support)


@pytest.mark.parametrize("seed", range(20))
def test_no_answer_of_the_support_is_asked_for_again(seed: int) -> None:
    support, query = draw_task(seed, 20, 200)
    answers = [e.completion for e in [*support, *query]]
    assert len(set(answers)) == len(answers) == 220


@pytest.mark.parametrize("seed", range(20))
def test_ten_examples_show_every_construct(seed: int) -> None:
    support, _ = draw_task(seed, 10, 0)
    dialect = draw_dialect(seed)
    marks = {word: getattr(dialect, word).replace("{}", "\0").split("\0") for word in CONSTRUCTS}
    for word, pieces in marks.items():
        assert any(all(piece in e.completion for piece in pieces) for e in support), word


@settings(max_examples=10)
@given(st.sampled_from(TABLES), st.integers(0, 30))
def test_different_queries_never_render_alike(table: Table, seed: int) -> None:
    rng, dialect = random.Random(seed), draw_dialect(seed)
    drawn = {draw_query(table, rng) for _ in range(300)}
    assert len({render(query, table, dialect) for query in drawn}) == len(drawn)


@given(st.sampled_from(TABLES), st.integers(0, 1000))
def test_a_drawn_query_is_about_its_table(table: Table, seed: int) -> None:
    query = draw_query(table, random.Random(seed))
    numbers = {name: range(low, high + 1) for name, low, high in table.numbers}
    texts = dict(table.texts)
    assert set(query.columns) <= set(table.columns)
    assert query.constructs() <= CONSTRUCTS
    assert query.condition or query.order
    if query.condition:
        column, kind, value = query.condition
        assert value in (texts if kind == "equal" else numbers)[column]
    if query.order:
        assert query.order[0] in numbers
        assert not query.fold


@given(st.sampled_from(TABLES), st.integers(0, 1000))
def test_a_question_names_everything_that_its_query_needs(table: Table, seed: int) -> None:
    rng = random.Random(seed)
    query = draw_query(table, rng)
    question = ask(query, table, rng)
    wanted = [table.name, *([] if query.fold == "count" else query.columns), *(query.condition or ())[::2], *(query.order or ())[::2]]
    assert all(str(word) in question for word in wanted)
