import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from headstart.bank import Bank, Weights, fill
from headstart.episode import Example
from headstart.errors import ExamplesError
from headstart.lm.load import Base
from headstart.teach import NONE, Beginning, Recipe, graft
from headstart.teach import worth as module
from headstart.teach.worth import Cell, apart, best, equals, meter, tried
from headstart.terms import SHOWN
from tests.conftest import Told, write_jsonl

EXAMPLES = [Example.pair(f"say {n}", f"<{n}>") for n in range(40)]
QUICK = Beginning(NONE, Recipe(steps=2))


def cell(way: str, examples: int, share: float, asked: str = "alone") -> Cell:
    return Cell(way, examples, asked, share, (0.0, 1.0), 1 - share, 2, 0.1, 0)  # type: ignore[arg-type]


def test_questions_are_never_learned_from() -> None:
    support, query = apart(EXAMPLES, 3)
    assert (len(support), len(query)) == (27, 13)
    assert not set(support) & set(query)
    assert set(support) | set(query) == set(EXAMPLES)
    assert apart(EXAMPLES, 3) == (support, query) != apart(EXAMPLES, 4)
    assert len(apart([Example.pair(f"{n}", "x") for n in range(400)], 0)[1]) == 50
    assert apart(EXAMPLES * 10, 3) == (support, query), "a twin would be learned from"
    with pytest.raises(ExamplesError, match="12 examples were given, 5 without repeats; 6 at least"):
        apart([EXAMPLES[i % 5] for i in range(12)], 0)


def test_every_number_of_examples_has_every_way(tiny: Base) -> None:
    support, query = EXAMPLES[:22], EXAMPLES[30:33]
    start, many = Beginning("mine", QUICK.recipe), [replace(QUICK, recipe=Recipe(steps=3, prefix=False))]
    told: list[str] = []
    cells = [cell for some in meter(tiny, support, query, [QUICK, start], many, lambda what, *_: told.append(what)) for cell in some]
    assert {(c.way, c.examples, c.asked) for c in cells} == {
        ("base", 0, "alone"),
        *(("prompt", n, "behind") for n in (2, 5, 10, 20)),
        *((way, n, how) for way in ("none", "mine") for n in (2, 5, 10, 20) for how in ("behind", "alone")),
    }
    assert {c.steps for c in cells if c.way in ("none", "mine")} == {2}
    assert "10 examples, mine" in told
    known = {(c.way, c.examples) for c in cells} - {("mine", 5)}
    (again,) = meter(tiny, support, query, [QUICK, start], many, lambda *_: None, known)
    assert [(c.way, c.examples, c.asked) for c in again] == [("mine", 5, "behind"), ("mine", 5, "alone")]


def test_many_examples_are_stepped_on_as_suits_examples_alone(tiny: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COUNTS", (2, SHOWN + 1))
    few, many = (Beginning("mine", Recipe(steps=steps, prefix=steps == 2)) for steps in (2, 3))
    asked = meter(tiny, EXAMPLES[:25], EXAMPLES[30:31], [QUICK, few], [many], lambda *_: None)
    taught = {(c.examples, c.steps) for some in asked for c in some if c.way == "mine"}
    assert taught == {(2, 2), (SHOWN + 1, 3)}


def test_many_examples_are_not_put_in_front(tiny: Base) -> None:
    found = tried(tiny, QUICK, EXAMPLES[: SHOWN + 1], EXAMPLES[30:32], True, lambda *_: None)
    assert list(found.answers) == ["alone"]


@pytest.mark.parametrize(
    ("examples", "asked", "made"),
    [
        (SHOWN, Recipe(), Recipe()),
        (SHOWN + 1, Recipe(rank=4, seed=3), Recipe(100, 0.01, rank=4, seed=3, batch=16, prefix=False)),
        (SHOWN + 1, Recipe(steps=7), Recipe(steps=7, prefix=False)),
        (SHOWN + 1, Recipe(rate=0.1), Recipe(100, 0.1, batch=16, prefix=False)),
    ],
)
def test_scratch_is_taught_many_examples_as_suits_it(
    tiny: Base, examples: int, asked: Recipe, made: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Recipe] = []

    def spied(net: object, chat: object, begin: Weights, taught: object, recipe: Recipe, tick: object) -> tuple[Bank, int]:
        seen.append(recipe)
        return fill(begin, 1), 0

    monkeypatch.setattr(module, "fit", spied)
    tried(tiny, Beginning(NONE, asked), EXAMPLES[:examples], EXAMPLES[30:31], True, lambda *_: None)
    net = graft(tiny, asked)
    weights = net.blank(0)
    net.remove()
    tried(tiny, Beginning("mine", asked, weights), EXAMPLES[:examples], EXAMPLES[30:31], True, lambda *_: None)
    assert seen == [made, replace(asked, prefix=examples <= SHOWN)]


def test_without_a_step_the_base_answers(tiny: Base) -> None:
    bare = tried(tiny, QUICK, (), EXAMPLES[30:33], True, lambda *_: None)
    blank = tried(tiny, QUICK, EXAMPLES[:2], EXAMPLES[30:33], False, lambda *_: None)
    assert bare.answers["alone"] == blank.answers["alone"]
    assert (bare.steps, blank.steps) == (0, 0)


def test_a_way_of_asking_is_taken_by_how_likely_right_answers_were_not_by_how_many_there_were() -> None:
    behind, alone = cell("none", 10, 0.4, "behind"), cell("none", 10, 0.5)
    assert best([behind, replace(alone, loss=0.9)], "none", 10) == 0.4


def test_what_scratch_needs_is_the_fewest_that_are_as_good() -> None:
    cells = [cell("none", 10, 0.1), cell("none", 50, 0.3), cell("none", 50, 0.6, "behind"), cell("none", 100, 0.7), cell("mine", 10, 0.6)]
    assert best(cells, "none", 50) == 0.6
    assert equals(cells, "mine") == 50
    assert equals([*cells, cell("mine", 10, 0.8, "behind")], "mine") is None
    assert equals([cell("mine", 10, 0.0, "behind"), cell(NONE, 2, 0.0, "behind")], "mine") is None, "as good as nothing is no good"


def test_the_command_measures_and_draws(headstart: Callable[..., Told], base_folder: Path, home: Path, tmp_path: Path) -> None:
    rows = write_jsonl(tmp_path / "rows.jsonl", [{"prompt": e.prompt, "completion": e.completion} for e in EXAMPLES[:8]])
    told = headstart("eval", rows, "--worth", "--base", base_folder, "--plot", tmp_path / "worth.png", "--json")
    assert told.code == 0, told.err
    assert (told.json["questions"], told.json["examples"]) == (2, 6)
    assert {c["examples"] for c in told.json["cells"]} == {0, 2, 5}
    assert (tmp_path / "worth.png").read_bytes().startswith(b"\x89PNG")
    assert json.dumps(told.json)
    (kept,) = (home / "runs").glob("worth-*.jsonl")
    lines = kept.read_text().splitlines(keepends=True)
    kept.write_text("".join(lines[:-1]) + lines[-1][:20])
    again = headstart("eval", rows, "--worth", "--base", base_folder, "--json")
    assert [{k: v for k, v in c.items() if k != "seconds"} for c in again.json["cells"]] == [
        {k: v for k, v in c.items() if k != "seconds"} for c in told.json["cells"]
    ]
    assert kept.read_text().startswith("".join(lines[:-1]))
    whole = kept.read_text()
    shown = headstart("eval", rows, "--worth", "--base", base_folder)
    assert kept.read_text() == whole
    assert "from scratch" in shown.out
    lost = headstart("eval", rows, "--worth", "--base", base_folder, "--plot", tmp_path / "nowhere" / "x.png")
    assert (lost.code, "make it first" in lost.err) == (1, True)


@pytest.mark.parametrize("words", [("--worth", "--shots", "3"), ("--worth", "--adapter", "x"), ("--plot", "x.png")])
def test_what_does_not_go_together_is_refused(
    words: tuple[str, ...], headstart: Callable[..., Told], base_folder: Path, home: Path, tmp_path: Path
) -> None:
    rows = write_jsonl(tmp_path / "rows.jsonl", [{"prompt": "a", "completion": "b"}] * 9)
    assert headstart("eval", rows, *words, "--base", base_folder).code == 2
