"""Benchmarks for a card run on a processor too: what is seldom run must not be found broken where it costs money."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
RUNS = {"large/run.py": "large", "small/card.py": "small-card", "planner/card.py": "planner-card", "serving/card.py": "serving-card"}
TINY = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}


def ran(folder: Path, seconds: float) -> dict[str, dict[str, object]]:
    """What each has written, all in one process."""
    (folder / "tiny.json").write_text(json.dumps(TINY))
    asked = ["--device", "cpu", "--seconds", str(seconds), "--out", str(folder), "--only", str(folder / "tiny.json")]
    scripts = [str(BENCHMARKS / it) for it in RUNS]
    code = f"import runpy, sys\nfor it in {scripts}:\n    sys.argv = [it, *{asked}]\n    runpy.run_path(it, run_name='__main__')"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return {it: json.loads((folder / f"{name}.json").read_text()) for it, name in RUNS.items()}


def test_they_begin_and_say_that_no_time_is_left(tmp_path: Path) -> None:
    assert [it["cells"] for it in ran(tmp_path, 0).values()] == [[]] * len(RUNS)


@pytest.mark.slow
def test_a_first_cell_of_each_is_measured(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    for it in ran(tmp_path, 1).values():
        assert it["cells"]
        assert not any("error" in cell for cell in it["cells"])
