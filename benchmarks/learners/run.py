"""Are the learners right? One run a config, resumable, under $HEADSTART_HOME/runs; what came of it under results/.

python benchmarks/learners/run.py [--data FOLDER] [CONFIG …] [--with KEY=VALUE …]: those configs, or all. One config is also one
command, `headstart meta-train benchmarks/learners/CONFIG.toml`; `--with recorded=true workers=2` makes the most of a GPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from headstart.config import home
from headstart.recipes.assemble import assemble, settle
from headstart.settings import override, pair
from headstart.train.run import open_run

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from machine import keep

ALSO = {
    "omniglot-prototypes-1-shot": {"20-way": {"tasks.ways": 20}},
    "omniglot-prototypes-60-way-1-shot": {"20-way": {"tasks.ways": 20}},
    "omniglot-prototypes-5-shot": {"20-way": {"tasks.ways": 20}},
    "omniglot-prototypes-60-way-5-shot": {"20-way": {"tasks.ways": 20}},
    "omniglot-matching-1-shot": {"20-way": {"tasks.ways": 20}},
    "omniglot-neighbour-1-shot": {"20-way": {"tasks.ways": 20}},
    "omniglot-maml-5-way-1-shot": {"one query a class": {"tasks.queries": 1}},
    "omniglot-fomaml-5-way-1-shot": {"one query a class": {"tasks.queries": 1}},
}
"""Config -> name -> settings under which the same weights are judged once more."""


def meta_train(config: Path, folder: Path, data: str | None, pairs: list[str]) -> dict[str, Any]:
    words = [sys.executable, "-m", "headstart", "meta-train", str(config), *pairs, "--out", str(folder), "--json"]
    done = subprocess.run([*words, *(["--data", data] if data else [])], stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def again(folder: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """The run's best weights on other test tasks."""
    text = (folder / "config.toml").read_text()
    job = assemble(settle(tomllib.loads(text)))
    with open_run(folder, text) as run:
        state = run.state(job.begin())
    other = assemble(settle(override(tomllib.loads(text), changes.items())))
    return other.examine(state.best.meta if state.best else state.meta)[list(other.trials)[-1]]


def curve(folder: Path) -> list[list[float]]:
    """Validation by meta-step."""
    log = folder / "log.jsonl"
    return [[line["step"], line["validation"]["mean"]] for line in map(json.loads, log.read_text().splitlines())] if log.exists() else []


def order(config: Path) -> tuple[bool, str]:
    """By name, after all that a run may begin from."""
    return "begin" in tomllib.loads(config.read_text()), config.name


def run(config: Path, data: str | None, pairs: list[str]) -> None:
    folder = home() / "runs" / f"benchmark-{config.stem}"
    result = meta_train(config, folder, data, pairs)
    result.pop("run")
    also = {name: again(folder, changes) for name, changes in ALSO.get(config.stem, {}).items()}
    asked = override(tomllib.loads(config.read_text()), [pair(word) for word in pairs])
    facts = {"config": asked, "result": result, "also": also, "curve": curve(folder)}
    keep(HERE / "results" / f"{config.stem}.json", facts)
    print(f"{config.stem}: {result['scores']} {also}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="folder that holds Omniglot; by default it is downloaded")
    parser.add_argument("--with", dest="pairs", nargs="+", default=[], metavar="KEY=VALUE", help="settings in place of the configs'")
    parser.add_argument("configs", nargs="*", help="names of configs here")
    given = parser.parse_args()
    for path in [HERE / f"{name}.toml" for name in given.configs] or sorted(HERE.glob("*.toml"), key=order):
        # A sinusoid is read from nowhere.
        run(path, given.data if path.stem.startswith("omniglot") else None, given.pairs)
