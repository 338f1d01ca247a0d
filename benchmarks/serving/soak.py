"""Does it hold? Mixed traffic for half an hour: joins, hang-ups, bad requests, jobs, adapters replaced while they answer.

python benchmarks/serving/soak.py [MINUTES]. Every answer is compared with the same request's answer when it was served alone, in fp32,
where neighbours in a batch change nothing. Written to results/soak.json.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import torch
import uvicorn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from machine import keep

from headstart import heap
from headstart.adapters.store import Shelf
from headstart.adapters.wear import key_of
from headstart.lm.load import Base, hush, load
from headstart.lm.twin import twin
from headstart.serve.apart import apart
from headstart.serve.api import Api
from headstart.serve.engine import Running
from headstart.serve.ledger import Ledger
from headstart.serve.limits import Limits
from headstart.serve.teacher import Teacher
from headstart.serve.teaching import Teaching
from headstart.teach import Recipe, graft

CLIENTS, ADAPTERS, BASE = 8, 16, "base"
BUDGET = 32_000_000
"""Bytes of adapters in the bank; all together they have twice as many."""
Expected = dict[tuple[str, str], set[str]]
"""(adapter, prompt) -> right answers."""
PROMPTS = ["Name a colour.", "What is 2 + 3?", "Say hello to the old king of the hill in one line.", "List three fruits, then stop."]
BAD: list[tuple[str, Any]] = [
    ("chat/completions", {"model": "nobody", "messages": [{"role": "user", "content": "x"}]}),
    ("chat/completions", {"model": BASE, "messages": []}),
    ("completions", {"model": BASE, "prompt": "x", "max_tokens": -1}),
    ("completions", [1, 2]),
    ("fine_tuning/jobs", {"model": BASE, "training_file": "file-none"}),
    ("load_lora_adapter", {"lora_name": "../../etc"}),
]
ROWS = "\n".join(json.dumps({"prompt": f"code of {n}", "completion": f"<{n}>"}) for n in (1, 2, 3, 4)).encode()


@dataclass
class Seen:
    """What the clients saw. Each change is one step."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[dict[str, str]] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    """Resident megabytes, every half minute."""
    parts: list[dict[str, float]] = field(default_factory=list)
    """What of them is known, as often: prompts kept, places of rows at work, adapters, and what is free inside the heap."""


def adapter(base: Base, shelf: Shelf, name: str, seed: int) -> None:
    """One that changes what is said."""
    net = graft(base, Recipe())
    chance = torch.Generator().manual_seed(seed)
    weights = {n: w if n.endswith("A") else 0.2 * torch.randn(w.shape, generator=chance) for n, w in net.blank(seed).items()}
    net.remove()
    shelf.write(name, weights, {"base": asdict(key_of(base))}, 30, replace=True)


def body(name: str, prompt: str, stream: bool) -> dict[str, Any]:
    return {"model": name, "messages": [{"role": "user", "content": prompt}], "max_tokens": 12, "temperature": 0, "stream": stream}


def said(http: httpx.Client, name: str, prompt: str, stream: bool) -> tuple[int, str]:
    if not stream:
        told = http.post("chat/completions", json=body(name, prompt, False))
        return told.status_code, told.json()["choices"][0]["message"]["content"] if told.status_code == 200 else told.text
    with http.stream("POST", "chat/completions", json=body(name, prompt, True)) as lines:
        chunks = [json.loads(line[6:]) for line in lines.iter_lines() if line.startswith("data: {")]
        return lines.status_code, "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c.get("choices"))


def client(address: str, expected: Expected, seen: Seen, until: float, seed: int) -> None:
    """Asks at random, checks, hangs up, sends nonsense."""
    rng = random.Random(seed)
    with httpx.Client(base_url=address, timeout=120) as http:
        while time.monotonic() < until:
            dice = rng.random()
            if dice < 0.08:
                path, nonsense = rng.choice(BAD)
                status = http.post(path, json=nonsense).status_code
                seen.counts[f"bad: {status}"] += 1
            elif dice < 0.16:
                with http.stream(
                    "POST", "chat/completions", json=body(rng.choice(list(expected))[0], "Count to a thousand.", True)
                ) as hung:
                    next(hung.iter_lines(), None)
                seen.counts["hung up"] += 1
            else:
                (name, prompt), right = rng.choice(list(expected.items()))
                status, text = said(http, name, prompt, rng.random() < 0.5)
                seen.counts["asked"] += 1
                seen.counts[f"status {status}"] += 1
                if status == 200 and text not in right:
                    seen.wrong.append({"adapter": name, "prompt": prompt, "got": text})
            time.sleep(rng.random() * 0.2)


def teach(address: str, seen: Seen, until: float) -> None:
    """A job after the other, every fifth of them cancelled; what was taught is asked."""
    with httpx.Client(base_url=address, timeout=120) as http:
        made = 0
        while time.monotonic() < until:
            file = http.post("files", files={"file": ("rows.jsonl", ROWS)}, data={"purpose": "fine-tune"}).json()["id"]
            asked = {"model": BASE, "training_file": file, "suffix": f"taught{made % 3}", "hyperparameters": {"n_epochs": 2}}
            job = http.post("fine_tuning/jobs", json=asked | {"metadata": {"replace": "true", "start": "none"}}).json()
            if made % 5 == 4:
                http.post(f"fine_tuning/jobs/{job['id']}/cancel")
            while job["status"] in ("queued", "running"):
                time.sleep(0.5)
                job = http.get(f"fine_tuning/jobs/{job['id']}").json()
            seen.counts[f"job {job['status']}"] += 1
            if job["status"] == "succeeded":
                seen.counts[f"taught: {said(http, job['fine_tuned_model'], 'code of 2', False)[0]}"] += 1
            http.delete(f"files/{file}")
            made += 1
            time.sleep(10)


def swap(change: Callable[[int], None], seen: Seen, until: float) -> None:
    """Puts another content under one name, again and again."""
    turn = 0
    while time.monotonic() < until:
        time.sleep(5)
        turn += 1
        change(turn % 2)
        seen.counts["replaced"] += 1


class _Told(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    ]


def _heap_free() -> int:
    """Bytes of the heap that nobody uses and that the system has not back; 0: the C library does not tell."""
    ask = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if ask is None:
        return 0
    ask.restype = _Told
    return int(ask().fordblks)


def watch(engine: Running, seen: Seen, until: float) -> None:
    while time.monotonic() < until:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        seen.memory.append(round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1))
        parts = {name: engine.figures()[name] for name in ("kept_bytes", "cache_bytes", "adapter_bytes")} | {"heap_free": _heap_free()}
        seen.parts.append({f"{name.removesuffix('_bytes')}_mb": round(size / 1e6, 1) for name, size in parts.items()})
        time.sleep(30)


@contextmanager
def served(place: Path) -> Iterator[tuple[str, Running, Callable[[int], None]]]:
    """An address, the engine behind it, and what puts one of two contents under the name `swap`."""
    base, shelf, spare = apart(lambda: load(None, torch.float32)), Shelf(place / "adapters"), Shelf(place / "spare")
    pupil = twin(base)
    for i in range(ADAPTERS):
        adapter(pupil, shelf, f"task{i}", i)
    for i in (0, 1):
        adapter(pupil, spare, f"swap{i}", 100 + i)

    def change(which: int) -> None:
        shelf.write("swap", spare.read(f"swap{which}", key_of(pupil)), {"base": asdict(key_of(pupil))}, 30, replace=True)

    change(0)
    # A small budget, so that adapters come and go.
    engine = apart(lambda: Running(base, shelf, budget=BUDGET, fast=True))
    ledger = Ledger(place / "jobs.sqlite3")
    teacher = Teacher(ledger, shelf, pupil, engine)
    app = Api(engine, BASE, Limits()).app(None, ["127.0.0.1"], Teaching(ledger, teacher, shelf, BASE, Limits()).routes())
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, log_level="error"))
    socket = server.config.bind_socket()
    thread = threading.Thread(target=server.run, args=([socket],), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{socket.getsockname()[1]}/v1/", engine, change
    server.should_exit = True
    thread.join()
    teacher.stop()
    ledger.close()


def alone(address: str, change: Callable[[int], None]) -> Expected:
    """What every request is answered when it is served alone; `swap` has two answers."""
    expected: Expected = {}
    with httpx.Client(base_url=address, timeout=120) as http:
        for name in [BASE, *(f"task{i}" for i in range(ADAPTERS))]:
            for prompt in PROMPTS:
                expected[name, prompt] = {said(http, name, prompt, False)[1]}
        for which in (0, 1):
            change(which)
            for prompt in PROMPTS:
                expected.setdefault(("swap", prompt), set()).add(said(http, "swap", prompt, False)[1])
    return expected


def traffic(address: str, engine: Running, change: Callable[[int], None], expected: Expected, minutes: float) -> Seen:
    seen, until = Seen(), time.monotonic() + 60 * minutes
    work: list[tuple[Callable[..., None], tuple[Any, ...]]] = [(client, (address, expected, seen, until, i)) for i in range(CLIENTS)]
    work += [(teach, (address, seen, until)), (swap, (change, seen, until)), (watch, (engine, seen, until))]
    threads = [threading.Thread(target=each, args=args) for each, args in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def run(minutes: float) -> None:
    # As `headstart serve` does.
    heap.one()
    hush()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (address, engine, change):
        expected = alone(address, change)
        seen = traffic(address, engine, change, expected, minutes)
        time.sleep(2)
        figures = engine.figures()
    told = {"minutes": minutes, "distinct_answers": len({next(iter(it)) for it in expected.values()})}
    told |= {"counts": dict(sorted(seen.counts.items())), "wrong": seen.wrong[:20], "wrong_answers": len(seen.wrong)}
    told |= {"server_errors": sum(n for name, n in seen.counts.items() if " 5" in name), "memory_mb": seen.memory}
    told |= {"memory_parts": seen.parts, "engine": figures}
    keep(HERE / "results" / "soak.json", told)
    print(json.dumps(told))


if __name__ == "__main__":
    run(float(sys.argv[1]) if len(sys.argv) > 1 else 30)
