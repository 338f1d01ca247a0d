"""Steps and rate of a start, chosen by what unseen tasks say."""

from headstart.episode import Example
from headstart.lm.chat import Chat
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.recipes.tune import GRID, _asked, tune
from headstart.tasks.family import Lesson
from headstart.teach.recipe import Recipe

WORDS = ("red", "tan", "blue", "grey", "pink", "teal", "gold", "lime")


def lesson(mark: str) -> Lesson:
    examples = [Example.pair(word, mark + word.upper()) for word in WORDS]
    return Lesson(tuple(examples[:6]), tuple(examples[6:]))


def test_what_lowers_the_query_loss_is_told_from_what_wrecks_it(tiny: Base) -> None:
    net = Grafted(tiny.model, "all-linear", rank=4)
    told: list[tuple[int, int]] = []
    try:
        still, good, wild = Recipe(steps=1, rate=1e-9), Recipe(steps=12, rate=0.01), Recipe(steps=12, rate=2.0)
        losses = tune(net, tiny.chat, net.blank(1), [lesson("<"), lesson("#")], lambda *it: told.append(it), grid=(still, good, wild))
    finally:
        net.remove()
    assert losses[good] < losses[still] - 0.1
    assert losses[good] < losses[wild]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_no_start_is_stepped_from_more_than_ten_times() -> None:
    assert all(recipe.steps is not None and recipe.steps <= 10 for recipe in GRID)
    assert len(set(GRID)) == len(GRID)


def test_no_question_stands_behind_more_than_the_context_holds(tiny: Base) -> None:
    it = lesson("<")
    whole = [tiny.chat.lay(query, it.support) for query in it.query]
    assert _asked(tiny.chat, it) == whole
    room = len(whole[0]) - 1
    assert max(map(len, _asked(Chat(tiny.chat.tokenizer, room), it))) <= room
