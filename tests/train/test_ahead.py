"""Tasks drawn ahead are the tasks themselves, whatever is asked for and however many processes draw them."""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from headstart.errors import TasksError
from headstart.tasks.sine import Sine
from headstart.train.ahead import drawn_ahead


def test_what_is_drawn_ahead_is_what_the_source_has() -> None:
    tasks = Sine(shots=3, queries=2)
    with drawn_ahead(tasks, 1, stride=4) as ahead:
        # The middle of a run, a step back as after a resumption, and a share of a batch among several processes.
        for first, count in ((8, 4), (12, 4), (16, 4), (8, 4), (9, 2), (13, 2)):
            drawn, wanted = ahead.draw("train", first, count), tasks.draw("train", first, count)
            assert torch.equal(drawn.support.inputs, wanted.support.inputs)
            assert torch.equal(drawn.query.targets, wanted.query.targets)


def test_without_a_process_the_source_itself_is_handed_on() -> None:
    tasks = Sine(shots=3, queries=2)
    with drawn_ahead(tasks, 0, stride=4) as ahead:
        assert ahead is tasks


def test_a_process_that_is_lost_is_said() -> None:
    with drawn_ahead(Sine(), 1, stride=1) as ahead:
        ahead.draw("train", 0, 1)
        [process] = multiprocessing.active_children()
        process.kill()
        process.join()
        with pytest.raises(TasksError, match="was lost, most often for want of memory"):
            [ahead.draw("train", first, 1) for first in range(1, 9)]


KILLED = """
import multiprocessing, time
from headstart.tasks.sine import Sine
from headstart.train.ahead import drawn_ahead
if __name__ == "__main__":
    with drawn_ahead(Sine(), 1, 1) as ahead:
        ahead.draw("train", 0, 1)
        print(multiprocessing.active_children()[0].pid, flush=True)
        time.sleep(600)
"""


def test_a_process_that_draws_does_not_outlive_the_one_that_learns(tmp_path: Path) -> None:
    (tmp_path / "killed.py").write_text(KILLED)
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, tmp_path / "killed.py"], env=env, stdout=subprocess.PIPE, text=True) as learns:
        draws = int(learns.stdout.readline()) if learns.stdout else 0
        learns.kill()
    assert gone(draws)


def gone(process: int) -> bool:
    """Whether a process ends within some seconds."""
    for _ in range(200):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        # One that nobody has waited for is there by its number alone.
        if Path(f"/proc/{process}/stat").exists() and Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False
