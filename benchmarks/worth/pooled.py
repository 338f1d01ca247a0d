"""In context against pooled (multi-task), over all families: one table over the results `pooled-…`."""

from __future__ import annotations

from collections.abc import Iterator

from worth.families import Family, gap, shares
from worth.table import plainly, share

ABOUT = """
Two starts from nothing, on one GPU at once, 420 meta-steps of 24 tasks of five families each (282 and 312 s, beside other runs): `all`
learned from conversations, `all-pooled` from every example alone (multi-task). Of both, validation kept the weights of meta-step 210.
Then both were tuned alike, behind the examples, on validation tasks: of six recipes that is no step for `all`, ten at 0.002 for
`all-pooled`. The latter is adapted as it was trained too, each example alone, by what `--no-prefix` takes from any start (20 steps at
0.005, not tuned for it): mostly its better form. Test tasks; right to the letter in per cent, differences in points, paired by task,
as in the table above, not widened for their number; one seed, four questions a task. So little training in context beats both ways of
pooling beyond chance on library calls alone, and narrowly, and loses beyond chance to one of them on inflection alone. The shipped
`sql` and `api` had more of it. Of two families alone see `both` and `both-pooled` below, where pooled was adapted behind its examples
only. `python benchmarks/worth/run.py --data FOLDER --together 20 pooled-dialects …` measures it again. Measured 2026-11-27 on an
NVIDIA H200 with torch 2.11.
"""
FAMILIES = (
    ("dialects", "dialects", 10),
    ("library calls", "apis", 5),
    ("commands", "commands", 10),
    ("labels", "labels", 10),
    ("strings", "strings", 10),
    ("real engines, not trained on", "engines", 10),
    ("calls of dialogues, not trained on", "calls", 10),
    ("inflection, not trained on", "inflection", 10),
)
"""What is told of a family, its result `pooled-…`, and its number of examples."""
COLUMNS = (
    *("family", "examples", "tasks", "`all`, behind them", "`all-pooled`, each alone", "`all-pooled`, behind them"),
    *("less pooled alone", "less pooled behind"),
)


def pooled() -> list[str]:
    """The section of docs/benchmarks.md; nothing where nothing was measured."""
    rows = [line for told, name, shots in FAMILIES for line in _row(told, name, shots)]
    if not rows:
        return []
    return [
        "## In context, or all examples pooled?",
        "",
        " ".join(ABOUT.split()),
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
        *rows,
        "",
    ]


def _row(told: str, name: str, shots: int) -> Iterator[str]:
    family = Family(told, "all", shots, (f"pooled-{name}",), "")
    ways = (("all", "behind"), (plainly("all-pooled"), "alone"), ("all-pooled", "behind"))
    ours, alone, behind = (shares(family, *way) for way in ways)
    if ours and alone and behind:
        cells = [share([*its.values()]) for its in (ours, alone, behind)]
        gaps = [gap([ours[task] - its[task] for task in ours.keys() & its.keys()]) for its in (alone, behind)]
        yield f"| {' | '.join([told, str(shots), str(len(ours)), *cells, *gaps])} |"
