"""Output on consoles of another alphabet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headstart.lm import tiny


@pytest.mark.parametrize("alphabet", ["cp1252", "ascii", "latin-1:strict"])
def test_what_is_told_is_utf_8_whatever_the_console_s_alphabet(tmp_path: Path, alphabet: str) -> None:
    folder = tmp_path / "größe ☃"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 258, **tiny.FAMILIES["llama"]}))

    def run(*words: str) -> subprocess.CompletedProcess[bytes]:
        line = [sys.executable, "-m", "headstart", "plan", *words, "--memory", "8GB", "--context", "256"]
        env = os.environ | {"PYTHONIOENCODING": alphabet, "LC_ALL": "C.UTF-8", "COLUMNS": "200"}
        return subprocess.run(line, capture_output=True, check=False, env=env)

    plain, as_json, lost = run(str(folder)), run(str(folder), "--json"), run(str(folder / "☃"))
    assert (plain.returncode, str(folder) in plain.stdout.decode("utf-8")) == (0, True), plain
    assert json.loads(as_json.stdout.decode("utf-8"))["model"] == str(folder)
    assert (lost.returncode, "☃" in lost.stderr.decode("utf-8")) == (1, True), lost
