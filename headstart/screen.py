"""What the terminal shows: progress on standard error, results on standard output."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from headstart.streams import OBEYED, plain
from headstart.terms import counted

if TYPE_CHECKING:
    # For its commands alone is a language model's room worth waiting for.
    from headstart.episode import Example
    from headstart.teach import Report


@final
class _Screen(Console):
    """One that obeys its own orders alone, and none in what it shows: names, cards and answers come from elsewhere."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        # Here, as lines, cells of tables and bars all pass through it.
        for it in super().render(renderable, options):
            yield it if it.control else it._replace(text=plain(it.text))


OUT = _Screen()
ERR = _Screen(stderr=True)
RAMBLE = 60
"""Letters of an answer shown beside the wanted one, or as many as that has; `--json` has them all."""


class Told(Protocol):
    """Of long work: what is being done, steps done, steps in all; figures of how it goes are not shown."""

    def __call__(self, what: str, done: int, whole: int, figures: Mapping[str, float] | None = None, /) -> None:
        """See there."""
        ...


@contextmanager
def progress() -> Iterator[Told]:
    """A bar a phase on standard error; silent where that is no terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=ERR, disable=not ERR.is_terminal, transient=True) as bars:
        known: dict[str, Any] = {}

        def tell(what: str, done: int, whole: int, figures: Mapping[str, float] | None = None, /) -> None:
            if what not in known:
                known[what] = bars.add_task(what, total=whole or None)
            bars.update(known[what], completed=done, total=whole or None)

        yield tell


@contextmanager
def training(whole: int) -> Iterator[Callable[[int, str], None]]:
    """One long bar on standard error, with the time left and a remark; silent where that is no terminal."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(
        *columns, TextColumn("{task.description}", markup=False), console=ERR, disable=not ERR.is_terminal, transient=True
    ) as bars:
        bar = bars.add_task("", total=whole or None)
        yield lambda done, remark: bars.update(bar, completed=done, description=remark)


def say(text: str | Text) -> None:
    """Lines of the output as they are: what a user named is no markup of a terminal's, whatever brackets and colons it has."""
    OUT.print(Text(text) if isinstance(text, str) else text, soft_wrap=True)


def warn(text: str) -> None:
    """A line beside the output, as it is."""
    ERR.print(Text(text), soft_wrap=True)


def emit(facts: Mapping[str, Any]) -> None:
    """One JSON object on standard output; what a terminal would obey is escaped in it."""
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    sys.stdout.write(re.sub(OBEYED, lambda it: f"\\u{ord(it[0]):04x}", text) + "\n")


def scores(report: Report) -> Table:
    """All ways side by side, the one to use in bold."""
    names = {
        "base": "base",
        "prompt": f"base, {counted(report.shown, 'example')} in the prompt",
        "weights": "adapter, weights alone",
        "prefixed": f"adapter, {counted(report.shown, 'example')} in the prompt",
        "scratch": "adapter, begun from no start",
    }
    best = report.scores[report.verdict]
    table = Table(title=f"Held-out scores, {len(report.answers)} examples in {report.folds} folds", title_justify="left")
    table.add_column("")
    table.add_column("exact match", justify="right")
    table.add_column("loss", justify="right")
    for way, score in report.ways.items():
        table.add_row(names[way], f"{100 * score.exact_match:.0f} %", f"{score.loss:.3f}", style="bold" if score is best else "")
    return table


def answers(rows: Sequence[tuple[str, str, Mapping[str, str]]], title: str) -> Table:
    """Question, wanted answer, and what each way gave: right ones green, rambling ones cut short."""
    ways = list(rows[0][2]) if rows else []
    table = Table(title=title, title_justify="left", show_lines=True)
    for column in ("question", "wanted", *ways):
        table.add_column(column, overflow="fold")
    for question, wanted, got in rows:
        table.add_row(Text(question), Text(wanted), *(_answer(got[w], wanted) for w in ways))
    return table


def _answer(got: str, wanted: str) -> Text:
    from headstart.episode import exact

    room = max(RAMBLE, len(wanted))
    shown = got if len(got) <= room else got[: room - 2].rstrip() + " …"
    return Text(shown, "green" if exact(wanted, got) else "red")


def pairs(examples: Sequence[Example], title: str) -> Table:
    """Examples as they were given."""
    table = Table(title=title, title_justify="left")
    for column in ("prompt", "completion"):
        table.add_column(column, overflow="fold")
    for example in examples:
        table.add_row(Text(example.prompt), Text(example.completion))
    return table
