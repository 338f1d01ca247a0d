"""Questions behind worked examples: a shared context changes the time, not the answers."""

import pytest
import torch

from headstart.bank import fill
from headstart.episode import Example
from headstart.lm.batch import Batch
from headstart.lm.behind import LEAST
from headstart.lm.chat import Chat
from headstart.lm.generate import Sampling, generate
from headstart.lm.graft import Grafted
from headstart.lm.tiny import tiny_model, tiny_tokenizer
from headstart.loss import row_losses, token_losses
from headstart.teach.asking import answer, answers
from headstart.terms import SPARE

BEFORE = [Example.pair(f"ask {i}", f"tell {i}") for i in range(3)]
ASKED = [Example.pair(f"now {i}" + "?" * 20 * i, f"then {i}" + "!" * 3 * i) for i in range(4)]


@pytest.fixture(scope="module")
def net():
    return Grafted(tiny_model("llama", dtype=torch.float64), "all-linear", rank=4)


@pytest.fixture(scope="module")
def chat():
    return Chat(tiny_tokenizer(), 512)


@pytest.fixture(scope="module")
def bank(net):
    torch.manual_seed(0)
    return fill({name: torch.randn_like(w) / 5 for name, w in net.blank(0).items()}, 1)


@pytest.mark.parametrize("slot", [0, 1])
@pytest.mark.parametrize("before", [[], BEFORE])
def test_answers_equal_each_question_alone(net, chat, bank, slot, before):
    together = answer(net, chat, bank, slot, before, ASKED)
    longest = max(len(chat.lay(e).completion) for e in ASKED) + SPARE
    for i, example in enumerate(ASKED):
        row = chat.lay(example, before)
        assert together.texts[i] == generate(net, chat, bank, [slot], [row.prompt], Sampling(max_tokens=longest))[0]
        batch = Batch.of([row])
        loss = row_losses(token_losses(net(bank, torch.tensor([slot]), batch), batch.labels), batch.owner, 1)
        assert together.losses[i] == pytest.approx(loss.item())


def test_so_many_are_asked_at_once_as_is_said_and_told_of(net, chat, bank):
    told = []
    answers(net, chat, bank, [0, 1, 0, 1], [], ASKED, lambda *done: told.append(done), at_once=3)
    assert told == [(3, 4), (4, 4)]


@pytest.mark.parametrize("odd", [Example.pair("long " * 60, "then"), Example.pair("now", "then " * 75)])
def test_one_long_row_takes_no_examples_from_the_others(net, chat, bank, odd):
    """Whatever is asked beside a question, it is answered as it is alone, behind as many examples."""
    row, ticks = chat.lay(odd, BEFORE[:2]), []
    chat = Chat(tiny_tokenizer(), len(row.prompt) + max(LEAST, len(row.completion)))
    together = answer(net, chat, bank, 1, BEFORE, [odd, *ASKED], lambda *told: ticks.append(told))
    alone = [answer(net, chat, bank, 1, BEFORE, [e]) for e in ASKED]
    assert together.shown == [2, *[len(BEFORE)] * len(ASKED)]
    assert together.losses[1:] == pytest.approx([it.losses[0] for it in alone])
    assert all(text.startswith(it.texts[0]) for text, it in zip(together.texts[1:], alone, strict=True))
    assert together.usual == len(BEFORE)
    assert ticks[-1] == (1 + len(ASKED), 1 + len(ASKED))
