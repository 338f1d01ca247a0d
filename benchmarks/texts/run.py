"""What are a language model's features worth for telling classes apart, frozen and meta-trained?

python benchmarks/texts/run.py [--data FOLDER] [PART …]: choice, frozen, trained, or all. FOLDER holds the sets that the config names, as
.jsonl.gz; by default that is `data/tasks` in the folder that HEADSTART_SHARED names, or in `shared` beside the checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstart.bank import fill
from headstart.config import home
from headstart.learners.closeness import CLOSENESS
from headstart.learners.learner import Learner, Meta
from headstart.learners.metric import Prototypical
from headstart.learners.neighbour import Neighbour
from headstart.learners.parts import part
from headstart.lm.features import PAD, PHRASE, Features, depth_of, encoder, text_net, tokens_of
from headstart.lm.graft import Grafted
from headstart.lm.load import Base, hush, load
from headstart.net import Raw
from headstart.recipes.embedded import tokenised
from headstart.tasks.episodes import ClassTasks, Held
from headstart.tasks.splits import deal
from headstart.tasks.topics import encode, read_topics
from headstart.train.meta import Watch, begin, meta_train
from headstart.train.outer import Outer
from headstart.train.run import open_run
from headstart.train.score import Score, score

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from machine import keep

Topics = dict[str, list[str]]


def split(data: Path, name: str, part_of: str, texts: int | None = None) -> Topics:
    """Topics of one split of a set, of each the first so many texts."""
    topics = deal(read_topics(data / f"{name}.jsonl.gz"))[part_of]
    return {label: found[:texts] for label, found in topics.items()}


def judge(learner: Learner, held: Held, shots: int, config: Mapping[str, Any], ways: int = 5) -> Score:
    """Accuracy over episodes of features."""
    tasks = ClassTasks({"held": held}, ways, shots, config["queries"])
    return score(learner, learner.begin(0), tasks, "held", config["episodes"])


def rounded(found: Score) -> dict[str, float]:
    return {"accuracy": round(found.mean, 4), "low": round(found.low, 4), "high": round(found.high, 4)}


def bag_of_words(base: Base, seen: Topics, asked: Topics) -> Held:
    """Texts as counts of their tokens, each weighed by how few of the training texts hold it: what a model has to beat."""
    ids = lambda texts: tokens_of(base.chat, texts, phrase=("", ""))[:, 1:]  # noqa: E731
    size = len(base.chat.tokenizer)

    def counts(texts: Sequence[str]) -> Tensor:
        tokens = ids(texts)
        return torch.zeros(len(texts), size).scatter_add(1, tokens.clamp(min=0), (tokens != PAD).float())

    whole = [text for texts in seen.values() for text in texts]
    idf = torch.log(len(whole) / (1 + sum((counts(whole[at : at + 500]) > 0).sum(0) for at in range(0, len(whole), 500))))
    return encode(asked, lambda texts: counts(texts) * idf)


def choose(base: Base, data: Path, config: dict[str, Any], out: Path) -> None:
    """Accuracy on validation classes of every way to make features, and of every measure; goes on where it was stopped."""
    asked = config["choice"]
    rows: list[dict[str, Any]] = json.loads(out.read_text())["rows"] if out.exists() else []
    phrases = {"last of the phrase": ("last", PHRASE), "mean of the text": ("mean", ("", ""))}
    net = Grafted(base.model, "all-linear")
    for name, (way, (pool, phrase)), depth in product(config["sets"], phrases.items(), asked["depths"]):
        if any((row["set"], row["features"], row["depth"]) == (name, way, depth) for row in rows):
            continue
        features = Features(net, depth, pool)
        held = encode(split(data, name, "validation", asked["texts"]), lambda texts, f=features, p=phrase: embed(f, base, texts, p))
        for measure, shots in product(CLOSENESS, config["shots"]):
            found = judge(Prototypical(Raw(), measure), held, shots, asked, config["ways"])
            rows.append({"set": name, "features": way, "depth": depth, "measure": measure, "shots": shots, **rounded(found)})
        print(f"{name}, {way}, depth {depth}: {[row['accuracy'] for row in rows[-6:]]}", flush=True)
        keep(out, {"config": config, "rows": rows})
    net.remove()


def embed(features: Features, base: Base, texts: list[str], phrase: tuple[str, str]) -> Tensor:
    slots = torch.zeros(1, dtype=torch.int64, device=base.model.device)
    return features({}, slots, tokens_of(base.chat, texts, phrase).to(slots.device)[None])[0].cpu()


def examine(
    held: Held, config: dict[str, Any], ways: Sequence[str] = ("prototypes", "neighbour"), measure: Any = "centred"
) -> dict[str, Any]:
    """Every learner on test classes."""
    learners: dict[str, Learner] = {"prototypes": Prototypical(Raw(), measure), "neighbour": Neighbour(Raw(), measure)}
    return {
        f"{way}, {shots}-shot": rounded(judge(learners[way], held, shots, config, config["ways"]))
        for way in ways
        for shots in config["shots"]
    }


def frozen(base: Base, data: Path, config: dict[str, Any], out: Path) -> None:
    """Test classes by the base's own features, and by a bag of words."""
    net = Grafted(base.model, "all-linear")
    features = Features(net, depth_of(net))
    scores = {}
    for name in config["sets"]:
        asked = split(data, name, "test", config["texts"])
        scores[name] = {
            "features": examine(encode(asked, encoder(features, base.chat)), config),
            "bag of words": examine(bag_of_words(base, split(data, name, "train"), asked), config, measure="cosine"),
        }
        print(name, json.dumps(scores[name], indent=1), flush=True)
    net.remove()
    keep(out, {"config": config, "depth": features.depth, "scores": scores})


def trained(base: Base, data: Path, config: dict[str, Any], out: Path) -> None:
    """A LoRA meta-trained as an embedding on the training classes, then test classes by its features; goes on where it was stopped."""
    asked, net, sets = config["training"], text_net(base), config["sets"]
    topics = {f"{name}/{label}": texts for name in sets for label, texts in split(data, name, "train").items()}
    tasks = ClassTasks({"train": tokenised(base, topics)}, asked["ways"], asked["shots"], asked["queries"], asked["seed"])
    learner = Prototypical(net, "centred")

    def held_by(meta: Meta, part_of: str, texts: int) -> dict[str, Held]:
        read = encoder(net, base.chat, fill(part("net", meta), 1), 1)
        return {name: encode(split(data, name, part_of, texts), read) for name in sets}

    def validate(meta: Meta) -> Score:
        held = held_by(meta, "validation", asked["texts"])
        each = [judge(Prototypical(Raw(), "centred"), held[name], 1, {"queries": 8, "episodes": 200}) for name in sets]
        return Score("accuracy", *(sum(v) / len(v) for v in zip(*((s.mean, s.low, s.high) for s in each), strict=True)), each[0].tasks)

    outer, watch = Outer(**config["outer"]), Watch(**config["watch"])
    with open_run(home() / "runs" / "benchmark-texts", (HERE / "intents.toml").read_text()) as run:
        state = former = run.state(begin(learner.begin(asked["seed"]), outer))
        since, kept = time.process_time(), time.monotonic()
        for state in meta_train(learner, tasks, outer, watch, validate, former):
            if state.judged == state.step and state.score:
                run.note(
                    {"step": state.step, "loss": state.loss, "validation": asdict(state.score), "seconds": time.process_time() - since}
                )
                print(f"step {state.step}: loss {state.loss:.3f}, validation {state.score.mean:.4f}", flush=True)
            if state.judged == state.step or time.monotonic() - kept > 20:
                run.keep(state)
                kept = time.monotonic()
        log = run.lines()
    assert state.best
    scores = {name: {"features": examine(held, config)} for name, held in held_by(state.best.meta, "test", config["texts"]).items()}
    print(json.dumps(scores, indent=1))
    keep(
        out,
        {"config": config, "log": log, "best_step": state.best.step, "scale": float(state.best.meta["log_scale"].exp()), "scores": scores},
    )
    net.net.remove()


def main() -> None:
    parts = {"choice": choose, "frozen": frozen, "trained": trained}
    beside = os.environ.get("HEADSTART_SHARED") or HERE.parents[2] / "shared"
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--data", type=Path, default=Path(beside) / "data" / "tasks")
    words.add_argument("--threads", type=int, default=torch.get_num_threads())
    words.add_argument("parts", nargs="*", choices=[[], *parts])
    given = words.parse_args()
    config = tomllib.loads((HERE / "intents.toml").read_text())
    torch.set_num_threads(given.threads)
    hush()
    base = load()
    for name in given.parts or parts:
        parts[name](base, given.data, config, HERE / "results" / f"intents-{name}.json")


if __name__ == "__main__":
    main()
