"""Settings of the C library are made in processes of their own: they stay for good."""

import json
import os
import subprocess
import sys

import pytest

SAY = "import os, json; from headstart import heap; asked = []; heap._set = lambda *it: asked.append(it) or True; {}; "
SAY += "print(json.dumps([asked, os.environ['ONEDNN_PRIMITIVE_CACHE_CAPACITY']]))"


def said(what: str, **env: str) -> list[object]:
    clean = {k: v for k, v in os.environ.items() if k not in ("MALLOC_ARENA_MAX", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")}
    done = subprocess.run([sys.executable, "-c", SAY.replace("{}", what)], env=clean | env, capture_output=True, text=True, check=True)
    told: list[object] = json.loads(done.stdout)
    return told


def test_one_heap_unless_the_environment_says_otherwise() -> None:
    assert said("heap.one()") == [[[-8, 1]], "128"]
    assert said("heap.one()", MALLOC_ARENA_MAX="4", ONEDNN_PRIMITIVE_CACHE_CAPACITY="9") == [[], "9"]


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_a_lean_heap_is_set() -> None:
    code = "from headstart import heap; assert heap.lean()"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
