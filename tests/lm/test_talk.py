"""What learners see of a language model: rows of tasks, losses and scores of each task by itself."""

from collections.abc import Callable

import pytest
import torch

from headstart.bank import Bank, fill
from headstart.episode import Drawn
from headstart.learners.direct import Direct
from headstart.learners.gradient import Maml
from headstart.learners.inner import Sgd
from headstart.learners.parts import prefixed
from headstart.learners.reptile import Reptile
from headstart.lm.batch import Encoded
from headstart.lm.graft import Grafted
from headstart.lm.talk import Talk
from headstart.lm.tiny import tiny_model

DRAWN = Callable[..., list[Encoded]]


@pytest.fixture(scope="module")
def net() -> Grafted:
    return Grafted(tiny_model("llama").double(), "all-linear", rank=3)


def test_each_task_s_loss_is_its_own(net: Grafted, drawn_bank: Callable[..., Bank], drawn_examples: DRAWN) -> None:
    rows = drawn_examples((4, 3), (6, 2), (3, 5), (5, 4))
    bank = drawn_bank(net, 2)
    talk = Talk((tuple(rows[:3]), tuple(rows[3:])))
    together = talk.losses(net(bank, talk.asked.slots, talk.asked.inputs))
    for task in range(2):
        alone = talk.part([task])
        mine = {name: torch.stack([stack[0], stack[task + 1]]) for name, stack in bank.items()}
        torch.testing.assert_close(alone.losses(net(mine, alone.asked.slots, alone.asked.inputs)), together[task : task + 1])


def test_a_row_is_right_when_all_of_its_targets_are(drawn_examples: DRAWN) -> None:
    rows = drawn_examples((4, 3), (6, 2), (3, 5))
    talk = Talk((tuple(rows[:2]), tuple(rows[2:])))
    labels = talk.asked.inputs.labels
    outputs = torch.nn.functional.one_hot(labels, 400).double()
    metric, right = talk.score(outputs)
    assert metric == "exact match"
    assert right.tolist() == [1.0, 1.0]
    outputs[0] = outputs[0].roll(1)
    assert talk.score(outputs)[1].tolist() == [0.5, 1.0]
    outputs[-1] = torch.nan
    assert talk.score(outputs)[1].isnan().tolist() == [False, True]


def test_maml_adapts_a_language_model_s_tasks_together_as_alone(net: Grafted, drawn_examples: DRAWN) -> None:
    rows = drawn_examples((4, 3), (6, 2), (3, 5), (5, 4))
    drawn = Drawn(Talk(((rows[0],), (rows[1],))), Talk(((rows[2],), (rows[3],))))
    learner = Maml(net, steps=2, rate=0.5)
    rng = torch.Generator().manual_seed(0)
    meta = prefixed("net", {name: torch.randn(w.shape, generator=rng, dtype=w.dtype) * 0.2 for name, w in net.blank(0).items()})
    together, losses = learner.meta_gradient(meta, drawn)
    alone = [learner.meta_gradient(meta, drawn.part([task])) for task in range(2)]
    torch.testing.assert_close(losses, torch.cat([loss for _, loss in alone]))
    # transformers normalises in fp32 whatever the model's precision.
    for name in together:
        torch.testing.assert_close(together[name], torch.stack([gradient[name] for gradient, _ in alone]).mean(0), rtol=1e-4, atol=1e-6)


def moved(net: Grafted) -> dict[str, torch.Tensor]:
    """Meta whose every gradient is some."""
    rng = torch.Generator().manual_seed(0)
    return prefixed("net", {name: torch.randn(w.shape, generator=rng, dtype=w.dtype) * 0.2 for name, w in net.blank(0).items()})


def test_a_minibatch_is_the_next_rows_of_each_task_counted_round(drawn_examples: DRAWN) -> None:
    rows = drawn_examples((4, 3), (6, 2), (3, 5), (5, 4))
    talk = Talk((tuple(rows[:3]), (rows[3],)))
    assert [talk.minibatch(step, 2).rows for step in range(3)] == [
        ((rows[0], rows[1]), (rows[3],)),
        ((rows[2], rows[0]), (rows[3],)),
        ((rows[1], rows[2]), (rows[3],)),
    ]
    assert talk.minibatch(1, 9) == talk


def test_reptile_moves_a_language_model_s_weights_towards_those_that_its_tasks_end_with(net: Grafted, drawn_examples: DRAWN) -> None:
    rows = drawn_examples((4, 3), (6, 2), (3, 5), (5, 4), (4, 4), (7, 2))
    drawn = Drawn(Talk((tuple(rows[:2]), tuple(rows[2:4]))), Talk(((rows[4],), (rows[5],))))
    learner, meta = Reptile(net, steps=3, rate=0.01, batch=1), moved(net)
    fast, (gradient, losses) = learner.adapt(meta, drawn.support), learner.meta_gradient(meta, drawn)
    assert losses.shape == (2,)

    def away(at: dict[str, torch.Tensor]) -> float:
        return sum(float((at[f"net.{name}"] - stack[1:]).square().sum()) for name, stack in fast.items())

    half, whole = ({name: w - rate * gradient[name] for name, w in meta.items()} for rate in (0.5, 1.0))
    assert away(whole) < away(half) < away(meta)


def test_one_step_of_reptile_on_all_examples_is_training_on_all_tasks_as_one(net: Grafted, drawn_examples: DRAWN) -> None:
    rows = drawn_examples((4, 3), (6, 2), (3, 5), (5, 4))
    shown, meta = Talk((tuple(rows[:2]), tuple(rows[2:]))), moved(net)
    reptile, _ = Reptile(net, steps=1, rate=0.3, batch=9, inner=Sgd()).meta_gradient(meta, Drawn(shown, shown))
    joint, _ = Direct(net).meta_gradient(meta, Drawn(shown, shown))
    assert any(bool(g.abs().max() > 1e-3) for g in joint.values())
    # transformers normalises in fp32 whatever the model's precision.
    for name in joint:
        torch.testing.assert_close(reptile[name], 0.3 * joint[name], rtol=1e-4, atol=1e-6)


def test_a_bank_of_the_base_s_slots_is_the_base(net: Grafted, drawn_examples: DRAWN) -> None:
    talk = Talk(((drawn_examples((4, 3))[0],),))
    blank = net(fill(net.blank(0), 1), talk.asked.slots, talk.asked.inputs)
    torch.testing.assert_close(blank, net({}, talk.asked.slots, talk.asked.inputs))
