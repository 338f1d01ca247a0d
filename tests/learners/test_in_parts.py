import pytest
import torch

from headstart.errors import SettingsError
from headstart.learners.gradient import Maml
from headstart.learners.in_parts import InParts
from tests.learners.toys import NET, apart, episodes, known, predicted

WHOLE = Maml(NET, steps=2, rate=0.3)


@pytest.mark.parametrize("tasks", [1, 2, 3, 5, 8])
def test_parts_of_any_size_have_the_gradient_of_the_whole(tasks: int) -> None:
    learner, e = InParts(WHOLE, tasks), episodes(tasks=5)
    meta = known(learner)
    (gradient, losses), (wanted, each) = learner.meta_gradient(meta, e), WHOLE.meta_gradient(meta, e)
    assert apart(gradient, wanted) < 1e-12
    assert torch.allclose(losses, each, rtol=0, atol=1e-12)


def test_adapting_and_predicting_are_the_other_learners_own() -> None:
    meta, e = known(WHOLE), episodes()
    assert torch.equal(predicted(InParts(WHOLE, 1), meta, e), predicted(WHOLE, meta, e))
    assert apart(InParts(WHOLE).begin(3), WHOLE.begin(3)) == 0


def test_a_part_without_tasks_is_refused() -> None:
    with pytest.raises(SettingsError, match="tasks is 0"):
        InParts(WHOLE, 0)
