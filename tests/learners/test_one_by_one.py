import torch
from torch import Tensor

from headstart.episode import Asked, Episodes, Labelled
from headstart.learners.gradient import Maml
from headstart.learners.one_by_one import OneByOne
from headstart.net import Mlp
from tests.learners.toys import QUERIES, WAYS, WIDTH, apart, episodes, known, predicted

PLAIN = Maml(Mlp((WIDTH, 4, WAYS), normed=True), rate=0.3)
LEARNER = OneByOne(PLAIN)


def asked_apart(e: Episodes, query: int) -> Episodes:
    return Episodes(e.support, Labelled(e.query.inputs[:, [query]], e.query.targets[:, [query]]))


def test_an_answer_does_not_depend_on_what_else_is_asked() -> None:
    meta, e = known(LEARNER), episodes()
    together, mixed = predicted(LEARNER, meta, e), predicted(PLAIN, meta, e)
    for i in range(QUERIES):
        assert torch.allclose(predicted(LEARNER, meta, asked_apart(e, i))[:, 0], together[:, i], rtol=0, atol=1e-12)
        assert not torch.allclose(predicted(PLAIN, meta, asked_apart(e, i))[:, 0], mixed[:, i], atol=1e-3)


def test_a_query_is_asked_behind_its_own_tasks_support() -> None:
    meta, e = known(LEARNER), episodes()
    fast, got = PLAIN.adapt(meta, e.support), predicted(LEARNER, meta, e)
    for task in range(e.tasks):
        for i in range(QUERIES):
            batch = torch.cat([e.support.inputs[task], e.query.inputs[task, i : i + 1]])
            wanted: Tensor = PLAIN.predict(meta, fast, Asked(torch.tensor([task + 1]), batch[None]))[0, -1]
            assert torch.allclose(got[task, i], wanted, rtol=0, atol=1e-12)


def test_training_is_the_other_learners_own() -> None:
    meta, e = known(LEARNER), episodes()
    assert apart(LEARNER.begin(3), PLAIN.begin(3)) == 0
    assert apart(LEARNER.meta_gradient(meta, e)[0], PLAIN.meta_gradient(meta, e)[0]) == 0
