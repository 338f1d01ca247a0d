"""Everything that computes does so where the base is: on a device other than the processor, no tensor is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.bank import fill
from headstart.conv import Conv4
from headstart.episode import Drawn, Example
from headstart.learners.direct import Direct
from headstart.learners.gradient import Maml
from headstart.learners.memory import Mann
from headstart.learners.metric import Matching, Prototypical
from headstart.learners.reptile import Reptile
from headstart.learners.snail import Snail
from headstart.lm.chat import Chat
from headstart.lm.features import encoder, text_net, tokens_of
from headstart.lm.generate import Sampling
from headstart.lm.graft import Grafted
from headstart.lm.load import Base
from headstart.lm.talk import Talk
from headstart.lm.tiny import tiny_model, tiny_tokenizer
from headstart.net import Mlp
from headstart.serve.engine import Running
from headstart.serve.request import Ask, Ended
from headstart.tasks.episodes import ClassTasks, Held
from headstart.tasks.sine import Sine
from headstart.teach import Recipe, teach
from headstart.train.meta import Watch, begin, meta_train
from headstart.train.outer import Outer
from headstart.train.place import Place
from headstart.train.score import score
from tests.elsewhere import ELSEWHERE, elsewhere, moved

WORDS = [Example.pair(word, word.upper()) for word in ("red", "green", "blue", "black")]
SPLITS = ("train", "validation", "test")
PLACE = Place(ELSEWHERE, torch.float32)


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    run = Running._run

    def watched(engine: Running) -> None:
        with elsewhere(monkeypatch):
            run(engine)

    # What is watched is a thread's own.
    monkeypatch.setattr(Running, "_run", watched)
    with elsewhere(monkeypatch):
        yield


def base(family: str = "llama") -> Base:
    return Base("far", moved(tiny_model(family)), Chat(tiny_tokenizer(), 512), "0")


def trained(learner: Any, tasks: Any) -> float:
    """The loss of two meta-steps, each validated."""
    source, outer = PLACE.tasks(tasks), Outer(steps=2, batch=2)
    begun = begin(PLACE.weights(learner.begin(0)), outer)
    judge = lambda meta: score(learner, meta, source, "validation", 2)  # noqa: E731
    states = list(meta_train(learner, source, outer, Watch(every=1), judge, begun))
    assert states[-1].score is not None
    assert all(w.device == ELSEWHERE for w in states[-1].meta.values())
    return states[-1].loss


def test_what_is_here_is_not_mixed_with_what_is_there(there: None) -> None:
    far = torch.ones(2, device=ELSEWHERE)
    assert (far + far + 1).tolist() == [3.0, 3.0]
    with pytest.raises(RuntimeError, match="here"):
        far + torch.ones(2)
    with pytest.raises(RuntimeError, match="here"):
        torch.tensor([1.0, 2.0]) * torch.tensor([1.0, 2.0], device=ELSEWHERE)


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_the_engine_answers_there(family: str, there: None, tmp_path: Path) -> None:
    far, shelf = base(family), Shelf(tmp_path)
    for i in range(2):
        net = Grafted(far.model, "all-linear", rank=4 + i)
        shelf.write(f"a{i}", net.blank(i), {"base": asdict(key_of(far))}, net.layers)
        net.remove()
    engine = Running(far, shelf)
    try:
        asks = [Ask(name, "blue " * (1 + i), Sampling(6, temperature=i % 2), i) for i, name in enumerate(("a0", "a1", None, "a0"))]
        for stream in [engine.submit(it) for it in asks]:
            while not isinstance(ended := stream.next(timeout=60), Ended):
                pass
            assert (ended.error, ended.completion_tokens > 0) == ("", True)
    finally:
        engine.stop()


@pytest.mark.parametrize("recipe", [Recipe(steps=2), Recipe(steps=2, prefix=False, checkpoint=True, target=("q_proj", "v_proj"))])
def test_an_adapter_is_taught_there_and_kept(recipe: Recipe, there: None, tmp_path: Path) -> None:
    far = base()
    taught = teach(far, WORDS, recipe)
    assert taught.report is not None
    path = Shelf(tmp_path).write("it", taught.weights, {"base": asdict(key_of(far))}, 4)
    assert all(w.device.type == "cpu" for w in Shelf(tmp_path).read(path.name, key_of(far)).values())


def pictures() -> ClassTasks:
    return ClassTasks({split: Held.of({name: torch.rand(6, 1, 28, 28) for name in "abcd"}) for split in SPLITS}, 3, 2, 2)


CLASSIC: dict[str, Callable[[], tuple[Any, Any]]] = {
    "maml": lambda: (Maml(Conv4(3, filters=4), learned="tensor"), pictures()),
    "sine": lambda: (Maml(Mlp((1, 8, 1)), order=1), Sine()),
    "reptile": lambda: (Reptile(Conv4(3, filters=4, strided=True)), pictures()),
    "prototypes": lambda: (Prototypical(Conv4(None, filters=4), "cosine"), pictures()),
    "matching": lambda: (Matching(Conv4(None, filters=4), features=4, context=2), pictures()),
    "mann": lambda: (Mann(ways=3), pictures()),
    "snail": lambda: (Snail(Conv4(None, filters=4), features=4, ways=3, length=7), pictures()),
}


@pytest.mark.parametrize("name", CLASSIC)
def test_classic_learners_learn_there(name: str, there: None) -> None:
    assert trained(*CLASSIC[name]()) > 0


class Told:
    """The same words as every task."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def draw(self, split: str, first: int, count: int) -> Drawn[Talk]:
        asked = tuple(self._chat.lay(it, WORDS[:3]) for it in WORDS[3:])
        return Drawn(Talk(((self._chat.chain(WORDS[:3]),),) * count), Talk((asked,) * count))


@pytest.mark.parametrize("learner", [Maml, Direct, Reptile])
def test_language_models_are_meta_trained_there(learner: Callable[[Grafted], Any], there: None) -> None:
    far = base()
    assert trained(learner(Grafted(far.model, "all-linear", [2, 3], 4)), Told(far.chat)) > 0


def test_features_of_texts_are_meta_trained_there(there: None) -> None:
    far = base()
    net = text_net(far)
    texts = {word: tokens_of(far.chat, [f"{word} {i}" for i in range(4)]) for word in ("red", "tan", "sky")}
    assert trained(Prototypical(net, "centred"), ClassTasks({split: Held.of(texts) for split in SPLITS}, 2, 1, 2)) > 0
    assert encoder(net, far.chat, fill(net.blank(0), 1), 1)(["red", "tan"]).device.type == "cpu"
