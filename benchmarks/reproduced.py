"""The tables `paper / ours` and `lockstep / loop` of docs/benchmarks.md, from the committed results."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import cell, spread

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Cell:
    """One published figure, and where ours is."""

    setting: str
    learner: str
    paper: str
    """As printed there; accuracies in per cent."""
    config: str
    """A config under benchmarks/learners; empty: no run yet."""
    trial: str = "as trained"
    """Which of the run's scores; one that starts with + is that of the same weights on other tasks."""


SINE = "sinusoid, 5 points, mean squared error after {} step{}"
CELLS = (
    *(
        Cell(SINE.format(n, "s"[: n > 1]), "MAML", paper, "sine-maml", f"{n} steps")
        for n, paper in ((1, "0.67"), (5, "0.38"), (10, "0.35"))
    ),
    *(
        Cell(SINE.format(n, "s"[: n > 1]), "MAML, trained on to five steps", paper, "sine-maml-steady", f"{n} steps")
        for n, paper in ((1, "0.67"), (5, "0.38"), (10, "0.35"))
    ),
    Cell(SINE.format(1, ""), "Meta-SGD", "-", "sine-meta-sgd", "1 steps"),
    *(
        Cell(SINE.format(n, "s"[: n > 1]), "joint, then fine-tuned", paper, "sine-joint", f"{n} steps")
        for n, paper in ((1, "2.41"), (5, "2.23"), (10, "2.19"))
    ),
    Cell("Omniglot 5-way 1-shot", "nearest neighbour on pixels", "-", "omniglot-neighbour-1-shot"),
    Cell("Omniglot 5-way 1-shot", "the same on the papers' pixels", "-", "omniglot-neighbour-unsmoothed"),
    Cell("Omniglot 5-way 1-shot", "Prototypical", "98.8", "omniglot-prototypes-1-shot"),
    Cell("Omniglot 5-way 5-shot", "Prototypical", "99.7", "omniglot-prototypes-5-shot"),
    Cell("Omniglot 20-way 1-shot", "Prototypical", "96.0", "omniglot-prototypes-1-shot", "+20-way"),
    Cell("Omniglot 20-way 5-shot", "Prototypical", "98.9", "omniglot-prototypes-5-shot", "+20-way"),
    Cell("Omniglot 5-way 1-shot", "Prototypical, trained on 60-way", "98.8", "omniglot-prototypes-60-way-1-shot"),
    Cell("Omniglot 20-way 1-shot", "Prototypical, trained on 60-way", "96.0", "omniglot-prototypes-60-way-1-shot", "+20-way"),
    Cell("Omniglot 5-way 5-shot", "Prototypical, trained on 60-way", "99.7", "omniglot-prototypes-60-way-5-shot"),
    Cell("Omniglot 20-way 5-shot", "Prototypical, trained on 60-way", "98.9", "omniglot-prototypes-60-way-5-shot", "+20-way"),
    Cell("Omniglot 5-way 1-shot", "Matching", "98.1", "omniglot-matching-1-shot"),
    Cell("Omniglot 20-way 1-shot", "Matching", "93.8", "omniglot-matching-1-shot", "+20-way"),
    Cell("Omniglot 5-way 1-shot", "MAML, transductive", "98.7 ± 0.4", "omniglot-maml-5-way-1-shot", "3 steps"),
    Cell("Omniglot 5-way 1-shot", "the same, one query a class", "98.7 ± 0.4", "omniglot-maml-5-way-1-shot", "+one query a class"),
    Cell("Omniglot 5-way 1-shot", "MAML, queries alone", "-", "omniglot-maml-5-way-1-shot", "3 steps, asked alone"),
    Cell(
        "Omniglot 5-way 1-shot", "MAML from prototypes' features, transductive", "98.7 ± 0.4", "omniglot-maml-begun-5-way-1-shot", "3 steps"
    ),
    Cell("Omniglot 5-way 1-shot", "the same, queries alone", "-", "omniglot-maml-begun-5-way-1-shot", "3 steps, asked alone"),
    Cell("Omniglot 5-way 1-shot", "FOMAML, transductive", "98.3 ± 0.5", "omniglot-fomaml-5-way-1-shot", "3 steps"),
    Cell("Omniglot 5-way 1-shot", "the same, one query a class", "98.3 ± 0.5", "omniglot-fomaml-5-way-1-shot", "+one query a class"),
    Cell("Omniglot 5-way 1-shot", "FOMAML, queries alone", "-", "omniglot-fomaml-5-way-1-shot", "3 steps, asked alone"),
    Cell("Omniglot 5-way 1-shot", "Reptile, transductive", "97.68 ± 0.04", "omniglot-reptile-5-way-1-shot", "50 steps"),
    Cell("Omniglot 5-way 1-shot", "Reptile, queries alone", "95.39 ± 0.09", "omniglot-reptile-5-way-1-shot", "50 steps, asked alone"),
    Cell("Omniglot 5-way, second sight", "MANN", "82.8", "omniglot-mann-5-way-1-shot"),
    Cell("Omniglot 5-way, second sight", "MANN on prototypes' features, centred", "82.8", "omniglot-mann-begun-5-way-1-shot"),
    Cell("Omniglot 5-way 1-shot", "SNAIL", "99.07 ± 0.16", "omniglot-snail-5-way-1-shot"),
    Cell("Omniglot 5-way 1-shot", "SNAIL from prototypes' features", "99.07 ± 0.16", "omniglot-snail-begun-5-way-1-shot"),
    Cell("Omniglot 5-way 5-shot", "MAML, transductive", "99.9 ± 0.1", "omniglot-maml-5-way-5-shot", "3 steps"),
    Cell("Omniglot 5-way 5-shot", "MAML, queries alone", "-", "omniglot-maml-5-way-5-shot", "3 steps, asked alone"),
    *(
        Cell(f"Omniglot {ways}-way {shots}-shot", "MAML from prototypes' features, head from zero, transductive", paper, config, trial)
        for ways, shots, paper, config, trial in (
            (5, 5, "99.9 ± 0.1", "omniglot-maml-begun-5-way-5-shot", "10 steps"),
            (20, 1, "95.8 ± 0.3", "omniglot-maml-begun-20-way-1-shot", "10 steps"),
            (20, 5, "98.9 ± 0.2", "omniglot-maml-begun-20-way-5-shot", "10 steps"),
        )
    ),
)


def learners() -> list[str]:
    """Figures of the papers beside ours."""
    rows = [_row(cell) for cell in CELLS]
    return [
        "## Are the learners right?",
        "",
        "Figures of the papers beside ours, with 95 % intervals over test tasks; one seed. Each row is one command, "
        "`headstart meta-train benchmarks/learners/CONFIG.toml`, and all of them `headstart bench learners`. Accuracies in per cent. "
        "Our runs are shorter than the papers': `meta-step` is the one whose weights are scored, which were the best in validation (by the "
        "score that is named, where a run has several), and how many there were; `last gain` is what the last quarter of a run still added "
        "in validation. Conv-4 normalises by all that it sees at once, in the test too. So rows that say transductive saw a task's queries "
        "together, and so did every row of Prototypical, Matching and SNAIL and that of MANN on features: five of each class, where they "
        "do not say one. Never run here: ANIL, LSLR, iMAML, and Matching's full context embeddings. "
        "Our Omniglot is shrunk with antialiasing, which is easier than the papers' nearest pixels: the rows of "
        "nearest neighbour on raw pixels show by how much, and with `tasks.smooth=false` every command runs on theirs.",
        "",
        "| tasks | learner | paper | ours | meta-step | last gain | on | config |",
        "|---|---|--:|--:|--:|--:|---|---|",
        *rows,
        "",
        "On a GPU by `python benchmarks/learners/run.py CONFIG --with recorded=true workers=2`, several runs at once, products in TF32.",
        "",
        *_notes(),
    ]


def _notes() -> list[str]:
    """What a command alone does not make again."""
    paths = dict.fromkeys(HERE / "learners" / "results" / f"{cell.config}.json" for cell in CELLS if cell.config)
    told = {path.stem: json.loads(path.read_text()).get("note") for path in paths if path.exists()}
    found = [f"- {name}: {note}" for name, note in told.items() if note]
    return [*found, ""] if found else []


def _row(cell: Cell) -> str:
    path = HERE / "learners" / "results" / f"{cell.config}.json"
    if not cell.config or not path.exists():
        return f"| {cell.setting} | {cell.learner} | {cell.paper} | not run yet | | | | {cell.config} |"
    facts = json.loads(path.read_text())
    score = facts["also"][cell.trial[1:]] if cell.trial.startswith("+") else facts["result"]["scores"][cell.trial]
    return (
        f"| {cell.setting} | {cell.learner} | {cell.paper} | {_score(score)} | {_steps(facts)} "
        f"| {_gain(facts['curve'], facts['result']['score']['metric'])} | {facts['machine']['gpu'] or 'two cores'} | {cell.config} |"
    )


def _steps(facts: dict[str, Any]) -> str:
    """Whose weights are scored, of how many; and the score that chose them in validation, where there are several."""
    found = facts["result"]
    if not found["steps"]:
        return "none"
    by = [f", by {name}" for name, score in found["scores"].items() if score == found["score"] and len(found["scores"]) > 1]
    batch = facts["config"]["outer"]["batch"]
    return f"{found['best_step']:,} of {found['steps']:,}, {batch} task{'s'[: batch > 1]} each{''.join(by)}"


def _score(score: dict[str, Any]) -> str:
    if "error" in score:
        return "diverges: " + str(score["error"]).partition("(")[2].partition(" do)")[0]
    # A task or two that fly apart are a mean of any size.
    times, most, form = (
        (100, 100, "{:.1f}") if score["metric"] == "accuracy" else (1, math.inf, "{:.3f}" if score["mean"] < 1e3 else "{:.0g}")
    )
    told = {"mean": times * score["mean"], "interval": [times * score["low"], times * score["high"]]}
    return cell(told, form, most=most)


def _gain(curve: list[list[float]], metric: str) -> str:
    """What validation gained from three quarters of the run to its end."""
    if len(curve) < 4:
        return ""
    before, after = (max if metric == "accuracy" else min)(v for _, v in curve[: 3 * len(curve) // 4]), curve[-1][1]
    return f"{100 * (after - before):+.1f}" if metric == "accuracy" else f"{after - before:+.3f}"


LOCKSTEP = """
Meta-gradients of MAML over a batch of tasks: in lockstep, looped over tasks with `torch.func.functional_call`, and with the package
`higher` where it is there; all give the same gradient, in turns in one process. 95 % intervals over turns. learn2learn could not be
installed: its last release no longer builds. `headstart bench lockstep` measures it again. On a GPU the lockstep can be recorded once
and played back (`recorded = true`), which the loop is not; a row without the recording is given too. There the loop may have rounded
its convolutions to TF32, which the benchmark no longer lets it; max-pooling, where its gradient differed, and the sinusoid have not
been measured on one.
"""
CASES = {
    "sine": "sinusoid, MLP 2 x 40",
    "omniglot": "Omniglot 5-way 1-shot, strided convolutions",
    "pooled": "Omniglot 5-way 1-shot, max-pooling",
}


def lockstep() -> list[str]:
    """Tasks a second, side by side; nothing where nothing was measured."""
    rows, measured = [], {}
    for path in sorted((HERE / "lockstep" / "results").glob("*.json")):
        facts = json.loads(path.read_text())
        where, ways = facts["machine"], facts["ways"]
        on = where["gpu"] or f"{where['processor']}, {where['cores']} cores"
        measured[on] = f"{on}: {where['date']}, torch {where['versions']['torch']}"
        # Where there is a recording, a lockstep without one is a way of its own.
        forms = {"lockstep": f"{on}, recorded", "lockstep, not recorded": on} if "lockstep, not recorded" in ways else {"lockstep": on}
        for form, told in forms.items():
            speed = cell(ways[form]["tasks_a_second"], "{:,.0f}")
            ratio = [_times(ways, form, way) for way in ("functional_call", "higher")]
            rows.append(f"| {CASES[path.stem.split('-')[0]]} | {facts['config']['order']} | {told} | {speed} | {ratio[0]} | {ratio[1]} |")
    head = [
        "## How fast does it meta-learn?",
        "",
        " ".join(LOCKSTEP.split()),
        "",
        "| case | order | on | in lockstep, tasks a second | times a functional_call loop | times `higher` |",
        "|---|--:|---|--:|--:|--:|",
    ]
    return [*head, *rows, "", f"Measured on {'; '.join(measured.values())}.", ""] if rows else []


def _times(ways: dict[str, Any], ours: str, way: str) -> str:
    """How many times as fast as another way, turn by turn; nothing where that was not there."""
    if way not in ways:
        return ""
    turns = zip(*(ways[each]["tasks_a_second"]["values"] for each in (ours, way)), strict=True)
    return cell(spread([mine / other for mine, other in turns]), "{:.1f}")


def texts() -> list[str]:
    """Intents told apart by a base's features, frozen and meta-trained."""
    results = HERE / "texts" / "results"
    if not (results / "intents-frozen.json").exists():
        return []
    facts = json.loads((results / "intents-frozen.json").read_text())
    config = facts["config"]
    lines = [
        "## Classes from a few texts, without a gradient step",
        "",
        f"{config['ways']}-way accuracy in per cent on intents of the test classes, {config['episodes']} episodes, features of "
        f"SmolLM2-135M-Instruct after layer {facts['depth']}; layer, prompt and measure were chosen on validation classes. Meta-trained: "
        f"a LoRA, {config['outer']['steps']} meta-steps over the training classes, one seed.",
        "",
        "| set | features | way | accuracy |",
        "|---|---|---|--:|",
    ]
    for kind in ("frozen", "trained"):
        path = results / f"intents-{kind}.json"
        scores = json.loads(path.read_text())["scores"] if path.exists() else {}
        for name, sources in scores.items():
            for source, ways in sources.items():
                cells = {way: _score(score | {"metric": "accuracy", "mean": score["accuracy"]}) for way, score in ways.items()}
                what = f"meta-{kind}" if kind == "trained" else "frozen" if source == "features" else source
                lines += [f"| {name} | {what} | {way} | {cell} |" for way, cell in cells.items()]
    return [*lines, ""]
