"""`headstart demo`: the main job, start to finish, on a query language that no base has seen."""

from __future__ import annotations

import time
from collections.abc import Mapping

from headstart import screen
from headstart.adapters.beginnings import AUTO, beginnings
from headstart.adapters.keep import keep
from headstart.adapters.store import Shelf
from headstart.adapters.wear import wear
from headstart.bank import BASE, fill
from headstart.commands.adapt import show
from headstart.commands.opening import open_base
from headstart.episode import Example, right
from headstart.lm.load import Base
from headstart.tasks.dialects import draw_task
from headstart.teach import NONE, Beginning, Recipe, Taught, graft, teach, teach_from
from headstart.teach.asking import answer
from headstart.teach.choose import Progress
from headstart.teach.room import within
from headstart.train.evaluate import interval

NAME = "demo-dialect"
SEED = 1
"""Of the dialect; every default was chosen on dialects of other seeds, and no start was trained on dialects of this kind."""
SHOWN, ASKED = 10, 12
START = "sql"
"""Of the package; where the base came from elsewhere than the package's wheel it does not fit, and a blank LoRA is begun from."""


def run(as_json: bool) -> None:
    """Draw a dialect, teach ten examples of it, ask twelve new questions before and after."""
    support, unseen = draw_task(SEED, SHOWN, ASKED)
    if not as_json:
        screen.OUT.print(screen.pairs(support, f"Ten examples of a query language made up for this demo (dialect {SEED})"))
    base = open_base(None, purpose="adapt")
    shelf = Shelf()
    none, *starts = beginnings(base, AUTO, Recipe(), screen.warn, SHOWN)
    begun = next((it for it in starts if it.name == START), none)
    with screen.progress() as tell:
        scratch, taught = within(base, support, [begun], lambda ways: taught_both(base, support, ways, tell), screen.warn)
        facts = keep(shelf, NAME, base, support, taught, replaces=True)
        since = time.perf_counter()
        got = ask_all(base, shelf, support, unseen, scratch)
    facts |= {"scratch_seconds": round(scratch.seconds, 3), "scratch_steps": scratch.steps} if scratch else {}
    rows = [(e.prompt, e.completion, {way: got[way][i] for way in got}) for i, e in enumerate(unseen)]
    shares = {way: right(unseen, texts) for way, texts in got.items()}
    facts |= {"unseen": {way: {"exact_match": share, "interval": interval(share, ASKED)} for way, share in shares.items()}}
    facts |= {
        "unseen_seconds": round(time.perf_counter() - since, 1),
        "unseen_answers": [{"prompt": p, "expected": w, **g} for p, w, g in rows],
    }
    if as_json:
        screen.emit(facts)
        return
    show(facts, taught)
    screen.OUT.print(screen.answers(rows, f"{ASKED} questions that were in no example"))
    screen.say(summary(shares, begun.name))
    screen.say(f"\nAsk it yourself:  headstart ask --adapter {NAME} {unseen[0].prompt!r}")


def taught_both(base: Base, support: list[Example], ways: list[Beginning], tell: Progress) -> tuple[Taught | None, Taught]:
    """From scratch, where that is another way to begin, and from where it was asked for; in the same room."""
    if ways[0].name == NONE:
        return None, teach_from(base, support, ways, tell)
    room = ways[0].recipe
    scratch = Recipe(folds=0, checkpoint=room.checkpoint, piece=room.piece, asked=room.asked)
    return teach(base, support, scratch, progress=tell), teach_from(base, support, ways, tell)


def ask_all(base: Base, shelf: Shelf, support: list[Example], unseen: list[Example], scratch: Taught | None) -> dict[str, list[str]]:
    """Greedy answers of the base, of the base behind the examples, of an adapter from scratch, and of the one on the shelf."""
    worn = wear(base, shelf, NAME)
    posed = {"base": (BASE, []), "prompt": (BASE, support)}
    try:
        got = {way: answer(worn.net, base.chat, worn.bank, slot, before, unseen).texts for way, (slot, before) in posed.items()}
        got |= {"adapter": answer(worn.net, base.chat, worn.bank, worn.slot, worn.before, unseen).texts}
    finally:
        worn.net.remove()
    if scratch is None:
        return got
    net = graft(base, Recipe())
    try:
        plain = answer(net, base.chat, fill(scratch.weights, 1), 1, support, unseen).texts
    finally:
        net.remove()
    return {"base": got["base"], "prompt": got["prompt"], "scratch": plain, "adapter": got["adapter"]}


def summary(shares: Mapping[str, float], start: str) -> str:
    """The before and after in a line each."""
    names = {
        "base": "base",
        "prompt": f"base, the {SHOWN} examples in the prompt",
        "scratch": f"LoRA from scratch on the {SHOWN} examples",
        "adapter": f"adapter from the {SHOWN} examples" + (f", begun from '{start}'" if start != NONE else ""),
    }
    width = max(len(names[way]) for way in shares)
    lines = []
    for way, share in shares.items():
        low, high = interval(share, ASKED)
        lines.append(
            f"  {names[way]:<{width}}{round(share * ASKED):>4} of {ASKED} right  (95 % interval {100 * low:.0f} to {100 * high:.0f} %)"
        )
    return "Exact answers to unseen questions:\n" + "\n".join(lines)
