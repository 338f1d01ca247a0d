import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from headstart.episode import Asked, Episodes, Labelled
from headstart.errors import Diverged
from headstart.learners.learner import Meta
from headstart.tasks.sine import Sine
from headstart.train.score import Score, score
from tests.train.toys import Waves

TASKS = Sine(shots=4, queries=6, dtype=torch.float64)
META = Waves().begin(0)


@dataclass(frozen=True)
class Counted:
    """Task number i asks for class 0 of two, four times."""

    def draw(self, split: str, first: int, count: int) -> Episodes:
        numbers = torch.arange(first, first + count, dtype=torch.float64).view(-1, 1, 1).expand(-1, 4, 1)
        shown = Labelled(numbers, torch.zeros(count, 4, dtype=torch.int64))
        return Episodes(shown, shown)


@dataclass(frozen=True)
class Sure:
    """Says class 0 for as many of a task's queries as the task's number."""

    bad: int = -1

    def adapt(self, meta: Meta, support: Labelled) -> Tensor:
        return support.inputs[:, 0, 0]

    def predict(self, meta: Meta, fast: Tensor, asked: Asked) -> Tensor:
        first = (torch.arange(4) < fast[:, None]).double()
        first = torch.where(fast[:, None] == self.bad, math.nan, first)
        return torch.stack([first, 1 - first], dim=2)


def test_a_score_is_the_mean_over_tasks_of_each_task_s_own() -> None:
    found = score(Waves(), META, TASKS, "validation", 7)
    each = []
    for number in range(7):
        episodes = TASKS.draw("validation", number, 1)
        outputs = Waves().predict(META, Waves().adapt(META, episodes.support), episodes.query.asked)
        each.append(((outputs - episodes.query.targets) ** 2).mean().item())
    # Student's t with six degrees of freedom.
    spread = 2.447 * torch.tensor(each, dtype=torch.float64).std().item() / math.sqrt(7)
    assert (found.metric, found.tasks) == ("mse", 7)
    assert (found.mean, found.high - found.mean) == pytest.approx((sum(each) / 7, spread))


def test_no_interval_of_errors_reaches_below_none() -> None:
    assert Score.of("mse", [0, 0, 9]).low == 0


@dataclass(frozen=True)
class Again(Counted):
    """Numbers 1 and 4 are drawn from one file, as are 2 and 3; 0 is another."""

    def draw(self, split: str, first: int, count: int) -> Episodes:
        return replace(super().draw(split, first, count), of=("", "a", "b", "b", "a")[first : first + count])


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_draws_of_one_file_are_one_task(chunk: int) -> None:
    # Task i is right on i of four.
    assert score(Sure(), {}, Again(), "test", 5, chunk=chunk) == Score.of("accuracy", [0.0, (1 / 4 + 1) / 2, (2 / 4 + 3 / 4) / 2])


@dataclass(frozen=True)
class InTurns(Counted):
    """Four made-up tasks of one family, and between them four draws of one file of another."""

    def draw(self, split: str, first: int, count: int) -> Episodes:
        of, families = ("", "file") * 4, ("made up", "mine") * 4
        return replace(super().draw(split, first % 5, count), of=of[first : first + count], families=families[first : first + count])


def test_a_family_of_one_file_counts_as_much_as_one_without_end() -> None:
    found = score(Sure(), {}, InTurns(), "test", 8, chunk=1)
    made_up, mine = [0.0, 2 / 4, 4 / 4, 1 / 4], [(1 / 4 + 3 / 4 + 0 + 2 / 4) / 4]
    assert found == Score.of("accuracy", made_up, mine)
    assert (found.tasks, found.mean) == (5, pytest.approx((0.4375 + 0.375) / 2))
    alone, wide = Score.of("accuracy", made_up), Score.of("accuracy", mine)
    assert found.high - found.mean == pytest.approx(math.hypot(alone.high - alone.mean, wide.high - wide.mean) / 2)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
def test_chunks_change_nothing(chunk: int) -> None:
    assert score(Waves(), META, TASKS, "test", 7, chunk=chunk) == score(Waves(), META, TASKS, "test", 7)


def test_accuracy_is_the_share_of_right_answers() -> None:
    found = score(Sure(), {}, Counted(), "test", 5)  # type: ignore[arg-type]
    assert (found.metric, found.mean, found.tasks) == ("accuracy", pytest.approx((0 + 1 + 2 + 3 + 4) / 5 / 4), 5)


def test_a_task_that_ends_in_no_number_is_named() -> None:
    with pytest.raises(Diverged, match=r"test task 3 ends in no number \(1 of 5"):
        score(Sure(bad=3), {}, Counted(), "test", 5, chunk=2)  # type: ignore[arg-type]
    with pytest.raises(Diverged, match=r"validation task 0 ends in no number \(2 of 2"):
        score(replace(Waves(), rate=1e200), META, TASKS, "validation", 2)


def test_higher_accuracy_and_lower_error_are_better() -> None:
    low, high = (Score("accuracy", mean, 0, 1, 1) for mean in (0.2, 0.7))
    assert low.merit < high.merit
    assert (low.reaches(0.5), high.reaches(0.5), high.reaches(0.7)) == (False, True, True)
    low, high = (Score("mse", mean, 0, 1, 1) for mean in (0.2, 0.7))
    assert low.merit > high.merit
    assert (low.reaches(0.5), high.reaches(0.5), low.reaches(0.2)) == (True, False, True)


def test_more_steps_on_the_support_score_better() -> None:
    assert score(Waves(steps=50), META, TASKS, "test", 50).mean < score(Waves(steps=1), META, TASKS, "test", 50).mean / 2
