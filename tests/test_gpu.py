"""A GPU computes what the processor does: adapting, meta-training and serving, on bases small enough to make on the spot.

`pytest -m gpu tests/test_gpu.py`; nothing here needs a network or a file.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.bank import Bank, fill, take
from headstart.conv import Conv4
from headstart.episode import Drawn, Example
from headstart.errors import SettingsError
from headstart.learners.direct import Direct
from headstart.learners.gradient import Maml
from headstart.learners.metric import Prototypical
from headstart.lm.batch import Encoded
from headstart.lm.chat import Chat
from headstart.lm.generate import Sampling
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.lm.objective import lower, objective
from headstart.lm.talk import Talk
from headstart.lm.tiny import VOCABULARY, tiny_model, tiny_tokenizer
from headstart.net import Mlp
from headstart.serve.engine import Running
from headstart.serve.request import Ask, Ended, Piece
from headstart.tasks.episodes import ClassTasks, Held
from headstart.tasks.sine import Sine
from headstart.teach import Recipe, teach
from headstart.train.adapt import Schedule, adapt
from headstart.train.job import Job, carry_out
from headstart.train.meta import Watch
from headstart.train.outer import Outer
from headstart.train.place import Place
from headstart.train.recorded import Recorded

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")]
CPU, CARD = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """Convolutions in the precision that they say, as on a processor."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


def base_on(device: torch.device, family: str = "llama", dtype: torch.dtype = torch.float32) -> Base:
    return Base("tiny", tiny_model(family, dtype=dtype).to(device), Chat(tiny_tokenizer(), 512), "0")


def encoded(count: int, seed: int = 0) -> list[Encoded]:
    rng = random.Random(seed)
    rows = [[rng.randrange(2, VOCABULARY) for _ in range(rng.randint(12, 24))] for _ in range(count)]
    return [Encoded(tuple(row[:-6]), tuple(row[-6:])) for row in rows]


def stepped(device: torch.device, rows: list[tuple[int, Encoded]], slots: int, checkpoint: bool = False) -> tuple[Bank, Tensor]:
    """The bank after a few steps in float64, and each slot's losses before them, (steps, slots)."""
    net = Grafted(base_on(device, dtype=torch.float64).model, "all-linear", [2, 3], 4)
    pieces = objective(net, rows, slots + 1, lower(net, [row for _, row in rows]), 60)
    losses: list[Tensor] = []
    net.checkpoint(checkpoint)
    bank = adapt(fill(net.blank(0), slots), lambda _: pieces, Schedule(steps=6), lambda _, __, loss: losses.append(loss) is not None)
    return bank, torch.stack(losses).cpu()


@pytest.mark.parametrize("checkpoint", [False, True])
def test_adapting_gives_what_the_processor_gives(checkpoint: bool) -> None:
    rows = [(1, it) for it in encoded(5)]
    (here, losses), (there, found) = stepped(CPU, rows, 1, checkpoint), stepped(CARD, rows, 1, checkpoint)
    torch.testing.assert_close(found, losses, rtol=1e-6, atol=1e-8)
    assert found[-1, 1] < found[0, 1]
    assert all(w.device.type == CARD.type for w in there.values())
    # Adam's first step is its rate times the gradient's sign, so no more digits than these are to be had.
    torch.testing.assert_close({name: w.cpu() for name, w in there.items()}, here, rtol=1e-3, atol=1e-5)


def test_tasks_together_adapt_as_each_does_alone() -> None:
    rows = [(slot, it) for slot in (1, 2, 3) for it in encoded(3, slot)]
    together, losses = stepped(CARD, rows, 3)
    for slot in (1, 2, 3):
        alone, its = stepped(CARD, [(1, it) for owner, it in rows if owner == slot], 1)
        torch.testing.assert_close(losses[:, slot], its[:, 1], rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(take(together, slot), take(alone, 1), rtol=1e-3, atol=1e-5)


def pictures() -> ClassTasks:
    rng = torch.Generator().manual_seed(0)
    return ClassTasks(
        {split: Held.of({name: torch.rand(6, 1, 28, 28, generator=rng) for name in "abcde"}) for split in ("train", "validation", "test")},
        ways=4,
        shots=2,
        queries=3,
    )


CLASSIC: dict[str, Callable[[], tuple[Any, Any]]] = {
    "sinusoids": lambda: (Maml(Mlp((1, 16, 16, 1)), steps=2), Sine()),
    "images, second order": lambda: (Maml(Conv4(4, filters=8), rate=0.1, steps=2), pictures()),
    "images, prototypes": lambda: (Prototypical(Conv4(None, filters=8)), pictures()),
}


@pytest.mark.parametrize("name", CLASSIC)
def test_meta_training_goes_as_on_the_processor(name: str, tmp_path: Path) -> None:
    learner, tasks = CLASSIC[name]()

    def run(device: torch.device) -> dict[str, Any]:
        place = Place(device, torch.float64)
        job = Job(learner, {"it": learner}, tasks, tasks, Outer(steps=4, batch=3), Watch(every=2, tasks=4, test=6), place=place)
        return carry_out(job, tmp_path / device.type, "seed = 0\n")

    here, there = run(CPU), run(CARD)
    assert there["score"]["mean"] == pytest.approx(here["score"]["mean"], rel=1e-4)
    assert there["validation"]["mean"] == pytest.approx(here["validation"]["mean"], rel=1e-4)
    # What is kept is gone on with there, and nothing is left to do.
    assert run(CARD) == there


@pytest.mark.parametrize("name", [name for name in CLASSIC if "prototypes" not in name])
def test_a_recorded_meta_step_is_the_eager_one_to_the_last_bit(name: str) -> None:
    learner, tasks = CLASSIC[name]()
    place = Place(CARD, torch.float32)
    recorded, source, meta = Recorded(learner), place.tasks(tasks), place.weights(learner.begin(0))
    for step in range(3):
        episodes = source.draw("train", 5 * step, 5)
        (mine, losses), (twin, its) = (it.meta_gradient(meta, episodes) for it in (recorded, learner))
        assert torch.equal(losses, its)
        assert all(torch.equal(mine[key], g) for key, g in twin.items())
        meta = {key: w - 0.1 * mine[key] for key, w in meta.items()}


def test_a_learner_that_looks_at_numbers_on_its_way_cannot_be_recorded() -> None:
    learner, tasks = CLASSIC["images, prototypes"]()
    place = Place(CARD, torch.float32)
    with pytest.raises(SettingsError, match="recorded"):
        Recorded(learner).meta_gradient(place.weights(learner.begin(0)), place.tasks(tasks).draw("train", 0, 2))


WORDS = [Example.pair(word, word.upper()) for word in ("red", "green", "blue", "black")]


@pytest.mark.parametrize("make", [lambda net: Maml(net, steps=2), Direct], ids=["second order", "in context"])
def test_a_language_model_s_meta_gradient_is_the_processor_s(make: Callable[[Grafted], Any]) -> None:
    def gradient(device: torch.device) -> dict[str, Tensor]:
        base = base_on(device, dtype=torch.float64)
        learner = make(Grafted(base.model, "all-linear", [2, 3], 4))
        shown, asked = base.chat.chain(WORDS[:3]), tuple(base.chat.lay(it, WORDS[:3]) for it in WORDS[3:])
        tasks = Drawn(Talk(((shown,),) * 2, device), Talk((asked,) * 2, device))
        # B is zero in a blank LoRA, and then A has no gradient.
        rng = torch.Generator().manual_seed(0)
        meta = {name: 0.1 * torch.randn(w.shape, generator=rng, dtype=w.dtype).to(device) for name, w in learner.begin(0).items()}
        return {name: w.cpu() for name, w in learner.meta_gradient(meta, tasks)[0].items()}

    here, there = gradient(CPU), gradient(CARD)
    assert all(w.abs().max() > 0 for w in here.values())
    # Positions are turned into angles in single precision, whatever the model's own, and the two sides' sines differ in the last digit.
    for name, gradient_here in here.items():
        assert (there[name] - gradient_here).norm() < 1e-4 * gradient_here.norm(), name


def answers(device: torch.device, family: str, folder: Path) -> list[tuple[str, ...]]:
    """Greedy ones of one mixed batch, piece by piece."""
    base, shelf = base_on(device, family), Shelf(folder)
    rng = torch.Generator().manual_seed(0)
    for i in range(3):
        net = Grafted(base.model, "all-linear", rank=4 + i)
        loud = {name: (0.3 * torch.randn(w.shape, generator=rng) if name.endswith("B") else w.cpu()) for name, w in net.blank(i).items()}
        shelf.write(f"a{i}", loud, {"base": asdict(key_of(base))}, net.layers)
        net.remove()
    engine = Running(base, shelf, rows=4)
    try:
        asks = [Ask(f"a{i % 3}" if i < 6 else None, "blue green pink " * (1 + i), Sampling(12)) for i in range(8)]
        return [tuple(_told(stream)) for stream in [engine.submit(it) for it in asks]]
    finally:
        engine.stop()


def _told(stream: Any) -> Iterator[str]:
    while isinstance(it := stream.next(timeout=60), Piece):
        yield it.text
    assert isinstance(it, Ended)
    assert not it.error
    yield f"{it.completion_tokens} tokens"


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma2", "mistral"])
def test_the_engine_says_there_what_it_says_here(family: str, tmp_path: Path) -> None:
    here = answers(CPU, family, tmp_path / "here")
    assert len(set(here)) > 4
    assert answers(CARD, family, tmp_path / "there") == here


def test_examples_are_taught_and_reported_on(tmp_path: Path) -> None:
    recipe = Recipe(steps=4, folds=2)
    here, there = (teach(base_on(device), WORDS, recipe) for device in (CPU, CARD))
    assert here.report is not None
    assert there.report is not None
    for mine, its in zip(here.report.ways.values(), there.report.ways.values(), strict=True):
        assert its.loss == pytest.approx(mine.loss, rel=1e-2)
    key = key_of(base_on(CARD))
    Shelf(tmp_path).write("it", there.weights, {"base": asdict(key)}, 4)
    kept = Shelf(tmp_path).read("it", key)
    torch.testing.assert_close({name: w.cpu() for name, w in there.weights.items()}, kept, rtol=1e-2, atol=1e-4)
