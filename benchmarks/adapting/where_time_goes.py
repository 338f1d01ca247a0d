"""Where an adaptation's time goes, by kind of work: python where_time_goes.py [PNG] -> a table and docs/figures/profile.png."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

from headstart.bank import fill
from headstart.lm.load import hush, load
from headstart.lm.objective import lower, objective
from headstart.tasks.dialects import draw_task
from headstart.teach import Recipe, graft
from headstart.train.adapt import Schedule, adapt

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


def measure(layers: tuple[int, ...] | None, keep_lower: bool) -> tuple[float, Counter[str]]:
    """Seconds a step, and the share of each kind."""
    base = load()
    rows = [base.chat.example(e) for e in draw_task(1101, 10, 1)[0]]
    net = graft(base, Recipe(layers=layers))
    pieces = objective(net, [(1, e) for e in rows], 2, lower(net, rows) if keep_lower else {})
    bank = fill(net.blank(0), 1)
    adapt(bank, lambda _: pieces, Schedule(steps=1))
    with profile(activities=[ProfilerActivity.CPU]) as trace:
        since = time.perf_counter()
        adapt(bank, lambda _: pieces, Schedule(steps=3))
        seconds = (time.perf_counter() - since) / 3
    spent: Counter[str] = Counter()
    for event in trace.key_averages():
        if event.self_cpu_time_total > 0 and event.key.startswith(("aten::", "Optimizer")):
            spent[kind_of(event.key)] += event.self_cpu_time_total / 3e6
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
    cases = {
        "all layers bent": (tuple(range(30)), False),
        "upper third bent": (None, False),
        "… lower layers kept": (None, True),
    }
    columns = {}
    for name, (layers, keep) in cases.items():
        seconds, spent = measure(layers, keep)
        columns[f"{name}\n{seconds:.2f} s"] = spent
        print(f"{name}: {seconds:.2f} s a step")
        for kind, time_spent in spent.most_common():
            print(f"  {kind:40}{time_spent:6.2f} s")
    draw(columns, Path(sys.argv[1] if len(sys.argv) > 1 else "docs/figures/profile.png"))


if __name__ == "__main__":
    main()
