"""`headstart eval --learner`: a labelled file sorted by a base's features, from a few examples a class and without a gradient step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from headstart import screen
from headstart.adapters.store import Shelf
from headstart.adapters.wear import wear
from headstart.commands.opening import open_base
from headstart.learners.learner import Learner
from headstart.learners.metric import Prototypical
from headstart.learners.neighbour import Neighbour
from headstart.lm.features import Features, depth_of, encoder
from headstart.net import Raw
from headstart.tasks.episodes import Held
from headstart.tasks.topics import encode, of_one_topic, read_topics
from headstart.terms import counted
from headstart.train.classify import Outcome, check, draws, folds, merged, outcomes
from headstart.train.evaluate import interval, loss_interval, mean, mean_interval

Choice = Literal["prototypes", "neighbour"]
"""How classes are told apart."""
SCALE = 12.0
"""Inverse temperature of the prototypes' cosines, by the loss on validation classes of two sets of intents."""
LEARNERS: Mapping[str, Learner] = {
    "prototypes": Prototypical(Raw(), measure="centred", scale=SCALE),
    "neighbour": Neighbour(Raw(), measure="centred"),
}
DRAWS = 5
"""Supports drawn with --shots; the first is told in full."""
FOLDS = 10
"""Parts that are held out one after the other without --shots."""
_ROWS = 12
"""Classes shown to people, those with most mistakes first."""


def run(
    path: Path,
    learner: Choice,
    shots: int | None,
    adapter: str | None,
    base_name: str | None,
    precision: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Read, embed, sort, tell.

    Args:
        path: labelled texts, see `headstart.tasks.topics`.
        learner: the way that is told in full; the other is told beside it.
        shots: examples of each class that are shown, drawn anew `DRAWS` times; None: folds.
        adapter: an adapter on the shelf under which texts are embedded; None: the bare base.
        base_name: see `headstart.lm.load`.
        precision: see `headstart.lm.quantised`.
        seed: of the draw.
        as_json: one JSON object, and nothing else.
    """
    shelf = Shelf()
    if adapter is not None:
        shelf.known(adapter)
    # Else one that is shown under one label could be asked under another.
    topics, doubtful = of_one_topic(read_topics(path))
    if doubtful:
        screen.warn(f"left out: {counted(doubtful, 'text')} of several labels")
    why = "Holding each example out once" if shots is None else f"--shots {shots}"
    check(list(topics), [len(texts) for texts in topics.values()], (shots or 1) + 1, why)
    base = open_base(base_name, precision, "adapt", asked=False)
    worn = wear(base, shelf, adapter)
    net = Features(worn.net, depth_of(worn.net))
    with screen.progress() as tell:
        held = encode(topics, encoder(net, base.chat, worn.bank, worn.slot), tell)
    facts = score(held, [text for texts in topics.values() for text in texts], learner, shots, seed)
    facts |= {"adapter": adapter, "base": base.name, "depth": net.depth}
    screen.emit(facts) if as_json else show(facts)


def score(held: Held, texts: list[str], learner: str, shots: int | None, seed: int) -> dict[str, Any]:
    """What `eval --learner … --json` prints of embedded texts.

    Args:
        held: features, class after class.
        texts: in the same order.
        learner: a key of `LEARNERS`.
        shots: see `run`.
        seed: of the draw.
    """
    found = {name: _outcomes(each, held, shots, seed) for name, each in LEARNERS.items()}
    told, ways = found[learner][0], len(held.names)
    losses = told.losses.tolist()
    asked = Counter(told.wanted.tolist())
    return {
        "exact_match": told.accuracy,
        "exact_match_interval": interval(told.accuracy, len(told.asked)),
        "loss": mean(losses),
        "loss_interval": loss_interval(losses),
        "count": len(told.asked),
        "learner": learner,
        "shots": shots,
        "folds": min(FOLDS, len(texts)) if shots is None else None,
        "ways": ways,
        "seed": seed,
        "compared": {name: _spread([outcome.accuracy for outcome in each]) for name, each in found.items()},
        "chance": 1 / ways,
        "commonest": max(asked.values()) / len(told.asked),
        "classes": _classes(told, held.names),
        "predictions": [
            {"prompt": texts[i], "expected": held.names[wanted], "got": held.names[got]}
            for i, wanted, got in zip(told.asked.tolist(), told.wanted.tolist(), told.got.tolist(), strict=True)
        ],
    }


def _outcomes(learner: Learner, held: Held, shots: int | None, seed: int) -> list[Outcome]:
    if shots is not None:
        return outcomes(learner, held, draws(held.counts, shots, seed, DRAWS))
    return [merged([found for fold in folds(held.counts, FOLDS, seed) for found in outcomes(learner, held, fold)])]


def _spread(accuracies: list[float]) -> dict[str, Any]:
    """The mean over draws, and its 95 % interval where there are several."""
    low, high = mean_interval(accuracies)
    several = len(accuracies) > 1
    return {"mean": mean(accuracies), "interval": [max(0.0, low), min(1.0, high)] if several else None, "draws": accuracies}


def _classes(told: Outcome, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Each class: how many were asked, how many answered right, and what the others were taken for; most mistakes first."""
    pairs = Counter(zip(told.wanted.tolist(), told.got.tolist(), strict=True))
    rows = [
        {
            "label": name,
            "count": sum(n for (wanted, _), n in pairs.items() if wanted == c),
            "right": pairs[c, c],
            "answered": sum(n for (_, got), n in pairs.items() if got == c),
            "taken_for": {names[got]: n for (wanted, got), n in pairs.most_common() if wanted == c != got},
        }
        for c, name in enumerate(names)
    ]
    return sorted(rows, key=lambda row: int(row["right"]) - int(row["count"]))


def show(facts: Mapping[str, Any]) -> None:
    """The scores beside nearest neighbour and chance, and which classes are mistaken for which."""
    screen.OUT.print(_table(facts["classes"]))
    low, high = facts["exact_match_interval"]
    how = f"each held out once, in {facts['folds']} folds" if facts["shots"] is None else f"{facts['shots']} more of each shown, first draw"
    lines = [
        f"{facts['learner']}: accuracy {_percent(facts['exact_match'])} (95 % interval {_percent(low)} to {_percent(high)}), "
        f"loss {facts['loss']:.3f}, {counted(facts['count'], 'text')} of {facts['ways']} classes, {how}"
    ]
    for name, spread in facts["compared"].items():
        # Draws of one file are no sample of files, and may all be equal.
        each = spread["draws"]
        between = f" ({_percent(min(each))} to {_percent(max(each))} in {len(each)} draws of these texts)" if len(each) > 1 else ""
        lines.append(f"  {name:12} {_percent(spread['mean'])}{between}")
    lines.append(f"  {'chance':12} {_percent(facts['chance'])}; always the commonest class {_percent(facts['commonest'])}")
    screen.say("\n".join(lines))


def _table(classes: list[dict[str, Any]]) -> Table:
    table = Table(title="Classes, most mistakes first", title_justify="left")
    for column, side in (("class", "left"), ("asked", "right"), ("right", "right"), ("taken for", "left")):
        table.add_column(column, justify=side, overflow="fold")  # type: ignore[arg-type]
    for row in classes[:_ROWS]:
        mistaken = ", ".join(f"{name} {n}" for name, n in list(row["taken_for"].items())[:3])
        table.add_row(Text(row["label"]), str(row["count"]), _percent(row["right"] / row["count"]), Text(mistaken))
    if len(classes) > _ROWS:
        rest = classes[_ROWS:]
        count, right = (sum(row[key] for row in rest) for key in ("count", "right"))
        table.add_row(f"{len(rest)} more", str(count), _percent(right / count), "")
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
