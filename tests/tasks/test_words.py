import random

from headstart.tasks.words import draw_word, english, invent, side, side_of

SIDES = ("train", "validation", "test")


def test_every_word_belongs_to_one_split_and_none_has_next_to_nothing() -> None:
    parts = {wanted: set(english(wanted)) for wanted in SIDES}
    assert sum(len(words) for words in parts.values()) == len(set.union(*parts.values())) == 3000
    assert len(parts["train"]) > 1900
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
