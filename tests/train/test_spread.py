"""Several processes on one machine; torch's launcher itself is tried in the slow test at the end."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from headstart.train.checkpoint import TENSORS
from headstart.train.job import carry_out
from headstart.train.run import CHECKPOINT, LOG, RESULT
from headstart.train.spread import ALONE, Alone, join, share
from tests.train.toys import CONFIG, EXACT, job, main

FORK = multiprocessing.get_context("fork")
ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def member(rank: int, size: int, port: int, work: Any, *words: Any) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    work(*words)


def together(size: int, work: Any, *words: Any) -> None:
    """The same work in several processes, as a launcher starts them."""
    port = free_port()
    processes = [FORK.Process(target=member, args=(rank, size, port, work, *words)) for rank in range(size)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [p.exitcode for p in processes] == [0] * size


def close(one: Path, other: Path) -> None:
    left, right = (load_file(folder / CHECKPOINT / TENSORS) for folder in (one, other))
    assert left.keys() == right.keys()
    assert all(torch.allclose(w, right[name], rtol=0, atol=1e-12) for name, w in left.items())
    scores = [json.loads((folder / RESULT).read_text())["scores"] for folder in (one, other)]
    assert all(scores[0][name]["mean"] == pytest.approx(found["mean"], abs=1e-12) for name, found in scores[1].items())
    logs = [[json.loads(line) for line in (folder / LOG).read_text().splitlines()] for folder in (one, other)]
    assert [a["step"] for a in logs[0]] == [b["step"] for b in logs[1]]
    assert all(a["loss"] == pytest.approx(b["loss"], abs=1e-12) for a, b in zip(*logs, strict=True))


@given(st.integers(1, 9), st.integers(0, 40))
def test_shares_are_all_the_things_in_a_row_and_nearly_even(size: int, more: int) -> None:
    parts = [share(Alone(rank, size), size + more) for rank in range(size)]
    assert [i for part in parts for i in range(size + more)[part]] == list(range(size + more))
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_a_process_started_by_hand_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join(torch.device("cpu")) as team:
        assert team is ALONE
    values = torch.ones(2)
    assert (team.rank, team.size, team.first(lambda: b"x")) == (0, 1, b"x")
    assert team.sum(values) is values


def check_messages() -> None:
    with join(torch.device("cpu")) as team:
        mine = torch.full((2,), float(team.rank + 1), dtype=torch.float64)
        assert team.size == 3
        assert team.sum(mine).tolist() == [6.0, 6.0]
        assert mine.tolist() == [team.rank + 1.0] * 2, "what is given must stay as it is"
        asked: list[bytes] = []
        for said in (b"first", b"", b"said"):
            assert team.first(lambda said=said: asked.append(said) or said) == said
        assert len(asked) == (3 if team.rank == 0 else 0), "the first process alone is asked"


def test_sums_and_messages_reach_every_process() -> None:
    together(3, check_messages)


@pytest.mark.parametrize("size", [2, 3])
def test_several_processes_end_where_one_ends(tmp_path: Path, size: int) -> None:
    carry_out(job(12), tmp_path / "alone", CONFIG)
    together(size, main, str(tmp_path / "spread"), 12, 0.0)
    close(tmp_path / "spread", tmp_path / "alone")
    assert json.loads((tmp_path / "spread" / RESULT).read_text())["processes"] == size


def carry_on(folder: str, sent: str) -> None:
    """As a later member of a group whose folders are not shared: only the first process has the checkpoint."""
    with join(EXACT.device) as team:
        carry_out(job(12), Path(folder) if team.rank == 0 else Path(sent), CONFIG, team=team)


def test_the_first_process_s_checkpoint_counts_for_all(tmp_path: Path) -> None:
    carry_out(job(12), tmp_path / "alone", CONFIG)
    together(2, main, str(tmp_path / "spread"), 12, 0.0)
    (tmp_path / "spread" / RESULT).unlink()
    together(2, carry_on, str(tmp_path / "spread"), str(tmp_path / "elsewhere"))
    close(tmp_path / "spread", tmp_path / "alone")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.slow
@pytest.mark.parametrize("crash", ["0:7", "1:9"])
def test_the_launcher_restarts_a_killed_worker_and_the_run_ends_the_same(tmp_path: Path, crash: str) -> None:
    together(2, main, str(tmp_path / "undisturbed"), 20, 0.0)
    (tmp_path / "main.py").write_text(f"from tests.train.toys import main\nmain({str(tmp_path / 'run')!r}, 20, 0.0, {crash!r})\n")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=2"]
    done = subprocess.run(
        [*launcher, str(tmp_path / "main.py")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run.crashed").exists()
    for name in (f"{CHECKPOINT}/{TENSORS}", f"{CHECKPOINT}/state.json"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
