import random
from dataclasses import replace
from itertools import product
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import TasksError
from headstart.tasks.apis import Apis
from headstart.tasks.apis.calls import ask, draw_call
from headstart.tasks.apis.check import SameCall
from headstart.tasks.apis.conventions import OPTIONS
from headstart.tasks.apis.domains import domains
from headstart.tasks.apis.imagined import _phrases, _units, imagine
from headstart.tasks.apis.invented import invent
from headstart.tasks.apis.lessons import check_of
from headstart.tasks.apis.shapes import SHAPES, Shape
from headstart.tasks.apis.toolkit import IMAGINED, Toolkit
from headstart.tasks.family import SPLITS, Family, Split
from headstart.tasks.words import Side

APIS: Family = Apis()
SIDES: tuple[Side, ...] = ("train", "validation", "test")
KEYWORD = SameCall(Shape("{fn}({args})", "{name}={value}"))
TASKS = list(product(SPLITS, range(75)))


@pytest.fixture(scope="module")
def toolkits() -> dict[Split, list[Toolkit]]:
    return {split: [Apis().toolkit(split, n) for n in range(300)] for split in SPLITS}


def names(toolkit: Toolkit) -> set[str]:
    return {toolkit.name, toolkit.end, *(f.name for f in toolkit.functions), *(called for _, called in toolkit.names)}


@pytest.mark.parametrize("split", SPLITS)
def test_a_task_is_the_same_whenever_it_is_drawn(split: Split) -> None:
    assert APIS.lesson(split, 3, 6, 4) == Apis().lesson(split, 3, 6, 4)
    others = [APIS.lesson(split, 4, 6, 4), Apis(seed=1).lesson(split, 3, 6, 4)]
    assert APIS.lesson(split, 3, 6, 4) not in others


@pytest.mark.parametrize("split", SPLITS)
def test_a_smaller_support_begins_a_larger_one_and_queries_stay(split: Split) -> None:
    for number in range(10):
        small, large = APIS.lesson(split, number, 3, 5), APIS.lesson(split, number, 12, 5)
        assert small.support == large.support[:3]
        assert small.query == large.query


def test_no_example_is_drawn_twice() -> None:
    for split, number in TASKS[::5]:
        lesson = APIS.lesson(split, number, 20, 20)
        told = [*lesson.support, *lesson.query]
        assert len({e.completion for e in told}) == len({e.prompt for e in told}) == 40


def test_ten_examples_show_every_function_that_is_asked_for() -> None:
    for split, number in TASKS[::6]:
        functions = {f.name for f in Apis().toolkit(split, number).functions}
        lesson = APIS.lesson(split, number, 10, 10)

        def called(text: str, functions: set[str] = functions) -> set[str]:
            return {name for name in functions if name in text}

        shown = [called(e.completion) for e in lesson.support]
        assert all(called(e.completion) & set().union(*shown) for e in lesson.query)
        assert set().union(*(called(e.completion) for e in lesson.query)) <= set().union(*shown)


def test_support_soon_shows_the_arguments_that_are_asked_for() -> None:
    asked, missed = 0, {2: 0, 5: 0, 15: 0}
    for split, number in TASKS[::3]:
        toolkit = Apis().toolkit(split, number)
        if toolkit.convention.shape.named:
            told = [name for _, name in toolkit.names]
            for shots in missed:
                lesson = APIS.lesson(split, number, shots, 5)
                needed = {name for name in told for e in lesson.query if name in e.completion}
                asked += len(needed)
                missed[shots] += sum(all(name not in e.completion for e in lesson.support) for name in needed)
    assert missed[15] == 0
    assert missed[5] < 0.05 * asked / len(missed) < missed[2]


def test_a_word_run_into_a_number_is_another_answer() -> None:
    check = SameCall(Shape("{fn} {args}", "{value}", " "))
    assert check("f 3 x", "f  3 x ")
    assert not check("f 3 x", "f 3x")


def test_methods_between_the_first_and_the_last_come_in_any_order() -> None:
    check = SameCall(Shape("{fn}(){args}.{end}()", ".{name}({value})", ""), tail=".go()")
    assert check("f().a(1).b('x').go()", 'f().b("x").a(1).go()')
    assert check("f().a(1s).b('x').go()", 'f().b("x").a(1s).go()')
    for wrong in ("f().go().a(1).b('x')", "f().a('x').b(1).go()", "f().a(1).go()", "f().a(1).b('x')"):
        assert not check("f().a(1).b('x').go()", wrong)


def test_json_is_read_as_json() -> None:
    check = SameCall(SHAPES["train"][9])
    assert check('{"op": "f", "args": ["x", 3]}', '{"args":["x",3],\n"op":"f"}')
    for wrong in ('{"op": "f", "args": [3, "x"]}', '{"op": "f", "args": ["x", "3"]}', "{'op': 'f', 'args': ['x', 3]}", "3"):
        assert not check('{"op": "f", "args": ["x", 3]}', wrong)


def test_what_stands_around_a_call_is_part_of_it() -> None:
    check = SameCall(Shape("{fn}({args})", "{value}"), "await {};")
    assert check("await f(3);", "await  f( 3 ) ;")
    for wrong in ("f(3);", "await f(3)", "awaitf(3);", "await ;", "await f(3);;"):
        assert not check("await f(3);", wrong)


def test_sizes_that_make_no_task_are_refused() -> None:
    for shots, queries in ((-1, 1), (1, 0)):
        with pytest.raises(TasksError, match="0 or more shots"):
            APIS.lesson("train", 0, shots, queries)


def test_there_are_many_domains_of_six_actions_and_each_is_one_splits() -> None:
    told = {side: {d.name for d in domains(side)} for side in SIDES}
    assert [len(told[side]) for side in SIDES] == [13, 3, 4]
    assert len(set().union(*told.values())) == 20
    assert all(len(d.actions) == 6 for side in SIDES for d in domains(side))


def test_no_option_is_in_two_splits() -> None:
    for options in [SHAPES, *OPTIONS.values()]:
        drawn = [option for side in SIDES for option in cast("dict[Side, tuple[object, ...]]", options)[side]]
        assert len(set(drawn)) == len(drawn)


def test_what_is_invented_is_never_an_option_of_validation_or_test(toolkits: dict[Split, list[Toolkit]]) -> None:
    drawn = {split: [t.convention for t in told] for split, told in toolkits.items()}
    for slot, options in {"shape": SHAPES, **OPTIONS}.items():
        kept = {option for side in ("validation", "test") for option in cast("dict[str, tuple[object, ...]]", options)[side]}
        for split in ("train", "near"):
            met = [getattr(c, slot) for c in drawn[cast("Split", split)] if not c.shape.json]
            assert not kept & {replace(o, ordered=False) if isinstance(o, Shape) else o for o in met}
            # What is there in a third of the toolkits, as a frame is, is invented less often.
            assert len(set(met)) > (40 if slot in ("shape", "quote", "unit", "choice") else 15)


def test_what_is_kept_is_passed_over_when_something_is_invented() -> None:
    rng = random.Random(0)
    told = {invent("absent", (), rng) for _ in range(500)}
    kept = told - {"()"}
    assert len(told) > 100
    assert not {invent("absent", kept, rng) for _ in range(500)} & kept


def test_no_value_is_in_two_splits() -> None:
    fixed = {side: {o for d in domains(side) for a in d.actions for s in a.slots for o in s.argument.options} for side in SIDES}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        shared = fixed[cast("Side", one)] & fixed[cast("Side", other)]
        # Open pools share their pattern; their words are the split's.
        assert {value for value in shared if "{" not in value} == set()


def test_no_name_of_test_or_validation_is_trained_on(toolkits: dict[Split, list[Toolkit]]) -> None:
    told = {split: set().union(*map(names, drawn)) for split, drawn in toolkits.items()}
    assert not told["train"] & told["test"]
    assert not (told["train"] | told["near"]) & told["validation"]
    assert not told["test"] & told["near"]
    assert told["train"] & told["near"]


def test_functions_are_hardly_ever_called_the_same() -> None:
    drawn = [f.name for number in range(300) for f in Apis().toolkit("train", number).functions]
    assert len(set(drawn)) > 0.8 * len(drawn) > 900
    assert len({Apis().toolkit("train", n).convention for n in range(300)}) > 270


def test_one_instruction_asks_for_one_call(toolkits: dict[Split, list[Toolkit]]) -> None:
    rng = random.Random(0)
    for split, drawn in toolkits.items():
        for toolkit in drawn[:40]:
            told: dict[str, str] = {}
            for _ in range(30):
                call = draw_call(rng.choice(toolkit.functions).action, "train" if split == "near" else split, rng)
                assert told.setdefault(ask(call, rng), toolkit.write(call)) == toolkit.write(call)


def test_texts_are_short() -> None:
    for split, number in TASKS:
        for example in APIS.lesson(split, number, 2, 2).query:
            assert len(example.prompt.split()) <= 28
            assert len(example.completion) <= 240


def test_the_expected_answer_is_right_and_another_querys_is_wrong() -> None:
    for split, number in TASKS:
        lesson = APIS.lesson(split, number, 0, 4)
        answers = [e.completion for e in lesson.query]
        assert [[lesson.check(a, b) for b in answers] for a in answers] == [[a == b for b in answers] for a in answers]


def test_blank_space_is_free_and_a_changed_character_is_not() -> None:
    rng = random.Random(0)
    for split, number in TASKS:
        lesson = APIS.lesson(split, number, 0, 1)
        answer = lesson.query[0].completion
        assert lesson.check(answer, f"  {answer.replace(', ', ' ,  ')}\n")
        spots = [i for i, letter in enumerate(answer) if letter.isalnum()]
        i = rng.choice(spots)
        assert not lesson.check(answer, answer[:i] + ("q" if answer[i] != "q" else "z") + answer[i + 1 :])
        assert not lesson.check(answer, answer[: spots[-1]])


def test_arguments_with_names_come_in_any_order(toolkits: dict[Split, list[Toolkit]]) -> None:
    rng = random.Random(0)
    for toolkit in (toolkit for drawn in toolkits.values() for toolkit in drawn[:60]):
        if not (shape := toolkit.convention.shape).named or shape.takes_first or shape.ordered:
            continue
        words = {"fn": "f", "lib": toolkit.name, "end": toolkit.end}
        frame = toolkit.convention.frame
        pairs = [(name, toolkit.convention.quote.format(name)) for _, name in toolkit.names[:3]]
        swapped = rng.sample([*pairs[1:], pairs[0]], 3)
        crossed = list(zip([n for n, _ in pairs], [v for _, v in [*pairs[1:], pairs[0]]], strict=True))
        told, other, wrong = (frame.format(shape.write(words, p)) + toolkit.convention.stop for p in (pairs, swapped, crossed))
        assert check_of(toolkit)(told, other), (told, other)
        assert not check_of(toolkit)(told, wrong), (told, wrong)


@pytest.mark.parametrize("answer", ["f(b='x',  a=3)", 'f( a = 3, b = "x" )', "f(b='x', a=3,)"])
def test_the_same_python_call_is_right(answer: str) -> None:
    assert KEYWORD("f(a=3, b='x')", answer)


@pytest.mark.parametrize(
    "answer", ["f(a=4, b='x')", "f(a='3', b='x')", "f(3, 'x')", "g(a=3, b='x')", "f(a=True, b='x')", "f(a=3)", "f(**a)", ""]
)
def test_another_python_call_is_wrong(answer: str) -> None:
    assert not KEYWORD("f(a=3, b='x')", answer)


def test_true_is_not_one() -> None:
    assert not KEYWORD("f(a=1)", "f(a=True)")


@settings(max_examples=60, deadline=None)
@given(st.text() | st.text(alphabet="fab()[]{}.,:='\"3 \\-"), st.sampled_from(TASKS[::9]))
def test_junk_is_wrong_and_never_raises(junk: str, task: tuple[Split, int]) -> None:
    lesson = APIS.lesson(*task, 0, 1)
    assert not lesson.check(lesson.query[0].completion, junk)


@pytest.mark.parametrize("junk", ["(" * 1900, "f(" * 900, "-" * 1999, "[" * 1999, "f(9" + "9" * 1900, "\0", "f" * 100_000])
def test_deep_or_long_junk_is_wrong(junk: str) -> None:
    assert not KEYWORD("f(a=1)", junk)
    assert not SameCall(SHAPES["train"][9])('{"op": "f", "args": [1]}', junk)


def test_imagined_domains_differ_and_hold_together() -> None:
    drawn = [imagine(random.Random(n)) for n in range(300)]
    assert len({domain.name for domain in drawn}) > 100
    for domain in drawn:
        arguments = {slot.argument for action in domain.actions for slot in action.slots}
        # One name is one argument, in every action.
        assert len({a.name for a in arguments}) == len(arguments)
        assert len({action.heads[0] for action in domain.actions}) == len(domain.actions) >= 4
        for action in domain.actions:
            call = draw_call(action, "train", random.Random(0))
            assert "{" not in ask(call, random.Random(0))
            assert all(slot.phrases or f"{{{slot.argument.name}}}" in action.heads[0] for slot in action.slots)


def test_half_of_what_is_told_beside_a_head_is_told_in_words_of_training_alone() -> None:
    beside = [slot for n in range(300) for action in imagine(random.Random(n)).actions for slot in action.slots if slot.phrases]
    listed = {phrases for title in ("things told", "people told", "ways", "flags") for phrases, _ in _phrases(title)}
    listed |= {phrases for _, told in _units().values() for phrases, _ in told}
    assert sum(slot.phrases not in listed for slot in beside) / len(beside) == pytest.approx(1 / 2, abs=0.05)
    for slot in beside:
        flag = slot.argument.kind == "flag"
        assert all(phrase.count("{}") == (not flag) for phrase in (*slot.phrases, *slot.denials))
        assert bool(slot.denials) == flag, "a flag has two sides"
        assert not {*slot.phrases} & {*slot.denials}


def test_only_toolkits_of_training_are_of_imagined_domains(toolkits: dict[Split, list[Toolkit]]) -> None:
    for split, drawn in toolkits.items():
        listed = {action for side in SIDES for domain in domains(side) for action in domain.actions}
        imagined = sum(any(f.action not in listed for f in toolkit.functions) for toolkit in drawn) / len(drawn)
        assert imagined == pytest.approx(IMAGINED, abs=0.1) if split in ("train", "near") else imagined == 0
