"""Where an adaptation's time goes, by kind of work: python where_time_goes.py [PNG] -> a table and docs/figures/profile.png."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

from headstart.bank import fill
from headstart.episode import Example
from headstart.lm.graft import Grafted
from headstart.lm.load import Base, hush, load
from headstart.lm.objective import objective
from headstart.tasks.dialects import draw_task
from headstart.teach import Recipe, graft
from headstart.teach.fit import conversations, pairs
from headstart.train.adapt import Draw, Schedule, adapt

KINDS = {
    "frozen linears (mm)": ("aten::mm", "aten::addmm", "aten::linear"),
    "adapters (bmm)": ("aten::bmm", "aten::baddbmm"),
    "attention": ("aten::_scaled_dot_product", "aten::_flash", "aten::scaled_dot"),
    "loss (log-softmax)": ("aten::_log_softmax", "aten::nll_loss", "aten::log_softmax"),
    "activations (silu)": ("aten::silu",),
    "optimiser": ("Optimizer", "aten::_foreach", "aten::_fused_adam"),
    "copies": ("aten::copy_", "aten::cat", "aten::index", "aten::_index_put", "aten::clone", "aten::fill_", "aten::zero_"),
}


def kind_of(name: str) -> str:
    return next((kind for kind, starts in KINDS.items() if name.startswith(starts)), "elementwise (norms, rotary, residuals)")


def every_layer(base: Base, examples: list[Example]) -> tuple[Grafted, Draw]:
    net = graft(base, Recipe(layers=tuple(range(base.layers))))
    return net, pairs(net, base.chat, {1: examples})


def nothing_kept(base: Base, examples: list[Example]) -> tuple[Grafted, Draw]:
    net = graft(base, Recipe())
    pieces = objective(net, [(1, base.chat.lay(e)) for e in examples], 2, {})
    return net, lambda _: pieces


def lower_layers_kept(base: Base, examples: list[Example]) -> tuple[Grafted, Draw]:
    net = graft(base, Recipe())
    return net, pairs(net, base.chat, {1: examples})


def as_adapt_does(base: Base, examples: list[Example]) -> tuple[Grafted, Draw]:
    net = graft(base, Recipe())
    return net, conversations(net, base.chat, {1: examples}, 0)


CASES = {
    "pairs, every layer bent": every_layer,
    "pairs, upper third bent": nothing_kept,
    "… lower layers run once": lower_layers_kept,
    "conversations (adapt's own)": as_adapt_does,
}


def measure(case: Callable[[Base, list[Example]], tuple[Grafted, Draw]]) -> tuple[float, Counter[str]]:
    """Seconds a step, and the share of each kind."""
    base = load()
    net, draw = case(base, draw_task(1101, 10, 1)[0])
    bank = fill(net.blank(0), 1)
    adapt(bank, draw, Schedule(steps=2))
    with profile(activities=[ProfilerActivity.CPU]) as trace:
        since = time.perf_counter()
        adapt(bank, draw, Schedule(steps=4))
        seconds = (time.perf_counter() - since) / 4
    spent: Counter[str] = Counter()
    for event in trace.key_averages():
        if event.self_cpu_time_total > 0 and event.key.startswith(("aten::", "Optimizer")):
            spent[kind_of(event.key)] += event.self_cpu_time_total / 4e6
    net.remove()
    return seconds, spent


def draw(columns: dict[str, Counter[str]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 3.2), layout="constrained")
    kinds = [kind for kind, _ in sum(columns.values(), Counter()).most_common()]
    left = [0.0] * len(columns)
    for kind in kinds:
        widths = [spent[kind] for spent in columns.values()]
        axes.barh(list(columns), widths, left=left, label=kind)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set_xlabel("seconds a step, ten examples")
    axes.invert_yaxis()
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    hush()
    columns = {}
    for name, case in CASES.items():
        seconds, spent = measure(case)
        columns[f"{name}\n{seconds:.2f} s"] = spent
        print(f"{name}: {seconds:.2f} s a step")
        for kind, time_spent in spent.most_common():
            print(f"  {kind:40}{time_spent:6.2f} s")
    draw(columns, Path(sys.argv[1] if len(sys.argv) > 1 else "docs/figures/profile.png"))


if __name__ == "__main__":
    main()
