import random
from itertools import count

import pytest

from headstart.tasks import words
from headstart.tasks.words import _listed, draw_word, english, invent, rude, side, side_of

SIDES = ("train", "validation", "test")


def test_every_word_belongs_to_one_split_and_none_has_next_to_nothing() -> None:
    parts = {wanted: set(english(wanted)) for wanted in SIDES}
    assert sum(len(words) for words in parts.values()) == len(set.union(*parts.values()))
    assert len(parts["train"]) > 12000
    assert all({side_of(word) for word in english(wanted)} == {wanted} for wanted in SIDES)
    assert len(parts["validation"]) > 200
    assert len(parts["test"]) > 450


def test_what_is_drawn_or_made_up_belongs_where_it_was_wanted() -> None:
    rng = random.Random(0)
    for wanted in SIDES:
        assert {side_of(draw_word(rng, wanted)) for _ in range(200)} == {wanted}
        assert len({invent(rng, wanted) for _ in range(300)}) > 250


def test_letters_case_does_not_change_sides() -> None:
    assert side_of("Pull") == side_of("PULL") == side_of("pull")
    assert side(["pull", "PULL"], side_of("pull")) == ("pull", "PULL")


def rude_seed(start: int = 0) -> int:
    """A seed whose first made-up word was a rude one before there was a list."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "_RUDE", [])
        return next(seed for seed in count(start) if "sex" in invent(random.Random(seed), "train"))


def test_no_made_up_word_is_rude() -> None:
    rng = random.Random(0)
    assert not [word for _ in range(20000) if rude(word := invent(rng, "train"))]
    assert not [word for _ in range(20000) if (word := draw_word(rng, side_of("anal"))) == "anal"]
    assert not [word for word in _listed("further.txt") if rude(word)]
    assert rude("fosexi")
    assert not rude("klea")


def test_a_rude_word_is_drawn_anew_and_every_other_draw_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = rude_seed()
    rng, again = random.Random(seed), random.Random(seed)
    drawn = [invent(rng, "train") for _ in range(20)]
    assert [invent(again, "train") for _ in range(20)] == drawn
    assert side_of(drawn[0]) == "train"
    monkeypatch.setattr(words, "_RUDE", [])
    bare = random.Random(seed)
    former = [invent(bare, "train") for _ in range(20)]
    assert "sex" in former[0]
    assert drawn[0] != former[0]
    assert [w for w, f in zip(drawn, former, strict=True) if "sex" not in f] == [f for f in former if "sex" not in f]
    assert bare.getstate() == rng.getstate()
