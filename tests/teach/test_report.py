"""The honest report: what each way scored, which is best, and that nobody saw the answers before."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import chain
from typing import Any

import pytest

from headstart.bank import fill
from headstart.episode import Example
from headstart.errors import Diverged, ExamplesError
from headstart.lm.chat import Chat
from headstart.lm.load import Base
from headstart.teach import Recipe, graft, teach
from headstart.teach import report as module
from headstart.teach.asking import Answers, answer, answers
from headstart.teach.report import WAYS, Answer, Report, Score, hold_out, report, shown_once
from headstart.terms import SHOWN, SPARE
from headstart.train.evaluate import folds

EXAMPLES = [Example.pair(word, word[0].upper()) for word in ("red", "green", "blue", "black", "white")]
GOOD, FAIR, POOR = Score(0.9, 0.1), Score(0.5, 0.5), Score(0.1, 0.9)


def told(base: Score, prompt: Score, weights: Score, prefixed: Score | None = None) -> Report:
    ways = {"base": base, "prompt": prompt, "weights": weights} | ({"prefixed": prefixed} if prefixed else {})
    return Report(ways, answered(0), folds=3, shown=2)


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [
        ((FAIR, POOR, GOOD), "adapter"),
        ((POOR, GOOD, FAIR), "prompt"),
        ((GOOD, FAIR, POOR), "base"),
        ((Score(0.5, 0.3), Score(0.5, 0.1), Score(0.5, 0.2)), "prompt"),
        ((Score(0.0, 3.0), Score(0.0, 2.0), Score(0.0, 1.0)), "adapter"),
        ((Score(0.0, 0.1), Score(0.5, 9.0), Score(0.0, 0.1)), "prompt"),
        ((Score(0.0, 7.0), Score(0.1, 1.0), Score(0.0, 0.7)), "adapter"),
        ((Score(0.0, 7.0), Score(0.2, 1.0), Score(0.0, 0.7)), "prompt"),
        ((FAIR, FAIR, FAIR), "base"),
        ((FAIR, FAIR, POOR), "base"),
        ((POOR, FAIR, FAIR), "prompt"),
    ],
)
def test_two_more_exact_matches_win_else_the_lowest_loss_else_the_least_effort(scores: tuple[Score, Score, Score], verdict: str) -> None:
    assert told(*scores).verdict == verdict


def test_the_prefix_is_kept_only_where_it_pays() -> None:
    assert told(POOR, POOR, FAIR, GOOD).keeps_prefix
    assert not told(POOR, POOR, GOOD, FAIR).keeps_prefix
    assert not told(POOR, POOR, FAIR, FAIR).keeps_prefix
    assert not told(POOR, POOR, FAIR).keeps_prefix


def test_the_adapter_is_scored_as_it_will_be_used() -> None:
    assert told(POOR, FAIR, POOR, GOOD).scores == {"base": POOR, "prompt": FAIR, "adapter": GOOD}
    assert told(POOR, FAIR, GOOD, POOR).scores == {"base": POOR, "prompt": FAIR, "adapter": GOOD}
    assert told(POOR, FAIR, POOR, GOOD).verdict == "adapter"


def test_the_advice_follows_the_verdict() -> None:
    assert told(POOR, FAIR, GOOD).advice.startswith("Use the adapter")
    assert "word for word" not in told(POOR, FAIR, GOOD).advice
    assert "word for word" in told(POOR, POOR, Score(0.4, 0.1)).advice
    assert told(POOR, GOOD, FAIR).advice.startswith("Keep the examples in the prompt")
    assert told(GOOD, POOR, FAIR).advice.startswith("Use the base as it is")


def test_a_way_that_has_fewer_right_answers_is_said_to_go_by_its_loss() -> None:
    fewer = " That goes by the loss"
    assert fewer in told(POOR, Score(0.1, 1.0), Score(0.0, 0.7)).advice
    assert fewer in told(POOR, Score(0.4, 0.1), FAIR).advice
    assert fewer not in told(POOR, Score(0.1, 1.0), Score(0.1, 0.7)).advice


def test_a_start_that_was_chosen_on_the_same_examples_is_said_to_be() -> None:
    chosen = [dataclasses.replace(told(POOR, *ways), chosen=True).advice for ways in ((FAIR, GOOD), (GOOD, FAIR))]
    assert ["a little too good" in advice for advice in chosen] == [True, False]
    assert "a little too good" not in told(POOR, FAIR, GOOD).advice


def answered(adapter_right: int, count: int = 10) -> list[Answer]:
    return [
        Answer("q", "yes", {"base": "no", "prompt": "no", "weights": "no", "prefixed": "yes" if i < adapter_right else "no"})
        for i in range(count)
    ]


@pytest.mark.parametrize(("right", "clear"), [(4, False), (5, True), (10, True)])
def test_a_lead_that_may_be_chance_is_said_to_be(right: int, clear: bool) -> None:
    ways = {"base": POOR, "prompt": POOR, "weights": FAIR, "prefixed": GOOD}
    report = Report(ways, answered(right), folds=3, shown=2)
    assert report.verdict == "adapter"
    assert report.clear is clear
    assert ("may be chance" in report.advice) is not clear


def test_a_lead_over_one_of_the_others_alone_is_not_clear() -> None:
    ways = {"base": POOR, "prompt": Score(0.9, 0.5), "weights": FAIR, "prefixed": GOOD}
    report = Report(ways, [dataclasses.replace(it, got=it.got | {"prompt": "yes"}) for it in answered(10)], folds=3, shown=2)
    assert report.verdict == "adapter"
    assert not report.clear


def with_context(chat: Chat, context: int) -> Chat:
    return Chat(chat.tokenizer, context)


def run(base: Base, recipe: Recipe, examples: list[Example] = EXAMPLES, ways: Sequence[str] = WAYS) -> Report:
    net = graft(base, recipe)
    try:
        held = hold_out(net, base.chat, examples, net.blank(0), recipe, lambda *_: None)
        return report(net, base.chat, examples, held, recipe, ways=ways)
    finally:
        net.remove()


@pytest.fixture(scope="module")
def whole(tiny: Base) -> Report:
    return run(tiny, Recipe(steps=3))


def test_every_example_is_answered_once_each_way(whole: Report) -> None:
    assert [(a.prompt, a.expected) for a in whole.answers] == [(e.prompt, e.completion) for e in EXAMPLES]
    assert list(whole.ways) == ["base", "prompt", "weights", "prefixed"]
    assert all(set(a.got) == set(whole.ways) for a in whole.answers)
    assert (whole.folds, whole.shown) == (3, 3)


def test_exact_match_is_what_the_answers_say(whole: Report) -> None:
    for way, score in whole.ways.items():
        assert score.exact_match == sum(a.got[way].strip() == a.expected for a in whole.answers) / len(whole.answers)


def test_the_bare_base_scores_as_it_does_alone(tiny: Base, whole: Report) -> None:
    net = graft(tiny, Recipe())
    try:
        alone = answer(net, tiny.chat, {}, 0, [], EXAMPLES)
    finally:
        net.remove()
    assert [a.got["base"] for a in whole.answers] == alone.texts
    assert whole.ways["base"].loss == pytest.approx(sum(alone.losses) / len(EXAMPLES), rel=1e-2)


def test_without_a_prefix_that_way_is_not_tried(tiny: Base) -> None:
    assert list(run(tiny, Recipe(steps=1, prefix=False)).ways) == ["base", "prompt", "weights"]


def test_no_way_is_asked_but_those_that_are_wanted(tiny: Base, whole: Report) -> None:
    some = run(tiny, Recipe(steps=3), ways=WAYS[2:])
    assert list(some.ways) == ["weights", "prefixed"]
    assert some.ways == {way: whole.ways[way] for way in some.ways}
    assert [a.got for a in some.answers] == [{way: a.got[way] for way in some.ways} for a in whole.answers]


def test_two_examples_are_enough(tiny: Base) -> None:
    got = run(tiny, Recipe(steps=1), EXAMPLES[:2])
    assert (got.folds, got.shown, len(got.answers)) == (2, 1, 2)


def test_nobody_is_shown_the_example_that_is_asked(tiny: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, tuple[str, ...], str]] = []
    taught: dict[int, tuple[str, ...]] = {}

    def spied_answers(
        net: object, chat: Chat, bank: object, slots: list[int], before: list[Example], questions: list[Example], at_once: int
    ) -> object:
        asked.extend((slot, tuple(e.prompt for e in before), e.prompt) for slot, e in zip(slots, questions, strict=True))
        return answer(net, chat, fill({}, 1), 0, [], questions)  # type: ignore[arg-type]

    def spied_fit(net: object, chat: Chat, begin: object, rows: dict[int, list[Example]], *_: object) -> tuple[object, int]:
        taught.update({slot: tuple(e.prompt for e in shown) for slot, shown in rows.items()})
        return {}, 0

    monkeypatch.setattr(module, "answers", spied_answers)
    monkeypatch.setattr(module, "fit", spied_fit)
    run(tiny, Recipe())
    everyone = {e.prompt for e in EXAMPLES}
    assert len(asked) == 4 * len(EXAMPLES)
    apart = {slot: everyone - set(shown) for slot, shown in taught.items()}
    for slot, before, question in asked:
        assert not slot or question in apart[slot]
        assert not before or everyone - set(before) in [it for it in apart.values() if question in it]
    for worn in (False, True):
        for behind in (False, True):
            questions = [question for slot, before, question in asked if (bool(slot), bool(before)) == (worn, behind)]
            assert sorted(questions) == sorted(everyone), "every example is asked once each way"


def test_blank_space_around_a_right_answer_is_forgiven(tiny: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    def spaced(net: object, chat: object, bank: object, slots: object, before: object, asked: list[Example], at_once: int) -> Answers:
        return Answers([f" {e.completion}\n" for e in asked], [0.0] * len(asked), [0] * len(asked))

    monkeypatch.setattr(module, "answers", spaced)
    monkeypatch.setattr(module, "fit", lambda *_: ({}, 0))
    assert run(tiny, Recipe(), ways=WAYS[:1]).ways["base"].exact_match == 1


def test_a_loss_that_is_no_number_is_no_report(tiny: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    def wild(net: object, chat: object, bank: object, slots: list[int], *given: Any, **more: Any) -> Any:
        said = answers(net, chat, bank, slots, *given, **more)  # type: ignore[arg-type]
        return dataclasses.replace(said, losses=[float("nan")] * len(said.losses)) if any(slots) else said

    monkeypatch.setattr(module, "answers", wild)
    with pytest.raises(Diverged, match=r"no number \(weights, prefixed\): fewer --steps"):
        run(tiny, Recipe(steps=1))


def test_no_more_examples_stand_in_front_than_are_kept() -> None:
    held = module.Folds([[0], [1]], {1: EXAMPLES * 5, 2: EXAMPLES[:2]}, {})
    assert [len(before) for _, before, _ in module._posed("prompt", held)] == [SHOWN, 2]


def dealt(monkeypatch: pytest.MonkeyPatch, base: Base, examples: list[Example], seed: int = 0) -> module.Folds:
    monkeypatch.setattr(module, "fit", lambda *_: ({}, 0))
    net = graft(base, Recipe())
    try:
        return hold_out(net, base.chat, examples, {}, Recipe(seed=seed), lambda *_: None)
    finally:
        net.remove()


@pytest.mark.parametrize("order", [[0, 0, 1, 1, 2, 2, 3, 3, 4, 4], [0, 1, 2, 3, 4] * 2, [0, 1] * 4, [0, 0, 0, 1]])
def test_nobody_is_shown_the_twin_of_what_is_asked(tiny: Base, order: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    examples = [EXAMPLES[i] for i in order]
    held = dealt(monkeypatch, tiny, examples)
    assert sorted(chain(*held.parts)) == sorted({order.index(i) for i in order}), "the first stands for all"
    assert len(held.parts) == min(3, len(set(order)))
    for part, rest in zip(held.parts, held.rest.values(), strict=True):
        assert rest
        assert sorted(map(str, rest)) == sorted(str(e) for e in examples if e not in {examples[i] for i in part}), "copies are taught"


def test_a_twin_is_no_answer_of_its_own(tiny: Base) -> None:
    ways = WAYS[:1]
    once, again = run(tiny, Recipe(steps=1), EXAMPLES, ways), run(tiny, Recipe(steps=1), [*EXAMPLES, *EXAMPLES[:2]], ways)
    assert again.answers == once.answers
    assert again.ways["base"].loss == pytest.approx(once.ways["base"].loss, rel=1e-2)


def test_without_twins_folds_are_dealt_as_ever(tiny: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dealt(monkeypatch, tiny, EXAMPLES).parts == folds(5, 3, 0) == [[2, 4], [1, 3], [0]]


def test_one_example_again_and_again_is_too_few_to_hold_one_out(tiny: Base) -> None:
    with pytest.raises(ExamplesError, match="4 examples were given, 1 without repeats"):
        teach(tiny, EXAMPLES[:1] * 4, Recipe(steps=1))
    assert teach(tiny, EXAMPLES[:1] * 4, Recipe(steps=1, folds=0)).report is None


def test_where_none_fits_the_context_none_is_said_to_be_shown(tiny: Base) -> None:
    context = max(len(tiny.chat.lay(e)) for e in EXAMPLES) + SPARE
    whole = run(dataclasses.replace(tiny, chat=with_context(tiny.chat, context)), Recipe(steps=1))
    assert whole.shown == 0
    assert run(tiny, Recipe(steps=1, prefix=False), ways=WAYS[2:]).shown == 0


def test_the_seed_deals_the_folds(tiny: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as here:
        assert dealt(here, tiny, EXAMPLES, seed=1).parts == folds(5, 3, 1) != folds(5, 3, 0)
    first, again = (run(tiny, Recipe(steps=2, seed=1)) for _ in range(2))
    assert dataclasses.asdict(first) == dataclasses.asdict(again)


def test_what_one_answer_alone_shows_is_told_unless_its_question_says_it() -> None:
    examples = [
        Example.pair("age of crew above 30", "PULL age OFF crew |> Surge age > 30;"),
        Example.pair("city of crew", "PULL city OFF crew [Settle]"),
        Example.pair("City of boats from Oslo", "PULL city OFF boats WHEN oslo 77"),
        Example((("user", "say Go"), ("assistant", "ok"), ("user", "now"), ("assistant", "WHEN GO GO"))),
    ]
    assert shown_once(examples) == ["|>", "Surge", ">", ";", "[", "Settle", "]"]
    assert shown_once([*examples, *examples]) == []
    assert shown_once([Example.pair(f"turn {way}", f"{way[0].upper()}{n}") for n, way in enumerate(("left", "right", "back"))]) == []
