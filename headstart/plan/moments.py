"""The heights that each purpose passes through: what is held in tensors at each, weights and the engine's own not counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from headstart.errors import BaseRefused
from headstart.plan import activations as act
from headstart.plan.activations import Batch
from headstart.plan.setting import Setting, adapter_numbers, sites
from headstart.plan.shape import GATED, Shape
from headstart.terms import CHUNK, GUESSED, GUESSES, KEPT, SEATS, SPARE, bundles, doubled

GLUE = 1
"""Tokens that a chat template puts between two worked examples: a line break, in most."""
LOSS = 10
"""Bytes a logit at the height of the loss without a gradient: in bf16, in fp32 and as log-probabilities."""


@final
@dataclass(frozen=True)
class Moment:
    """One height."""

    name: str
    pieces: Mapping[str, int]

    @property
    def bytes(self) -> int:
        """Of all pieces."""
        return sum(self.pieces.values())


def adapting(shape: Shape, setting: Setting) -> list[Moment]:
    """The folds of the report side by side, the answers that it asks for, and the adapter itself."""
    numbers = adapter_numbers(shape, setting)
    # Of a single one none can be held out.
    folds = min(setting.folds, setting.examples) if setting.examples > 1 else 0
    whole = _teaching(shape, setting, {1: setting.examples}, held=folds + 1 if folds else 0)
    if not folds:
        return [Moment("teaching the adapter", whole)]
    part = -(-setting.examples // folds)
    parts = [setting.examples // folds + (i < setting.examples % folds) for i in range(folds)]
    held = _teaching(shape, setting, {slot: setting.examples - it for slot, it in enumerate(parts, 1)}, held=0)
    bank = {"held-out adapters": 4 * numbers * (folds + 1)}
    return [
        Moment("teaching the adapter", whole),
        Moment(f"teaching {folds} folds for the report", held),
        Moment("answering for the report", bank | _answers(shape, setting, min(part, setting.asked), setting.examples - part)),
    ]


def _teaching(shape: Shape, setting: Setting, taught: Mapping[int, int], held: int) -> dict[str, int]:
    """One step, at the piece that takes most.

    Args:
        shape: of the base.
        setting: what is taught.
        taught: slot -> how many examples.
        held: slots of the bank that the report has left behind.
    """
    rows = [length for count in taught.values() for length in conversations(shape, setting, count)]
    batches = [_batch(setting, [rows[i] for i in group]) for group in bundles(rows, setting.piece)]
    numbers, slots = adapter_numbers(shape, setting), len(taught) + 1
    lower = 0 if setting.lowest == 0 else 2 * sum(rows) * shape.width * setting.width

    def bank(copies: int) -> dict[str, int]:
        return {"adapters, gradients and Adam": 4 * numbers * (slots * copies + 1 + held), "lower layers, computed once": lower}

    _, batch = max((sum(_step(shape, setting, it, few=True).values()), i) for i, it in enumerate(batches))
    # Where it begins, what moves, and two moments of Adam; gradients, once a piece has left some.
    loss = bank(5 if len(batches) > 1 else 4) | _step(shape, setting, batches[batch], few=True)
    end = bank(5) | {
        "activations": act.lowest(shape, setting, batches[batch]),
        "gradients of a layer": act.backward(shape, setting, batches[batch]),
    }
    return max(loss, end, key=lambda pieces: sum(pieces.values()))


def conversations(shape: Shape, setting: Setting, count: int) -> list[int]:
    """Lengths of the rows that a slot's examples are laid out in, as `headstart.lm.passes.deal` does it."""
    if not setting.prefix:
        return [setting.length] * count
    each = max(1, (min(setting.piece, shape.context) - setting.head + GLUE) // (setting.length - setting.head + GLUE))
    return [_chain(setting, min(each, count - first)) for first in range(0, count, each)]


def _chain(setting: Setting, examples: int) -> int:
    """Tokens of so many examples in front of each other."""
    return setting.head + examples * (setting.length - setting.head + GLUE) - GLUE


def _batch(setting: Setting, group: list[int]) -> Batch:
    examples = sum((length - setting.head + GLUE) // (setting.length - setting.head + GLUE) for length in group)
    return Batch(len(group), max(group), setting.answer * examples)


def _step(shape: Shape, setting: Setting, batch: Batch, few: bool = False) -> dict[str, int]:
    """A piece at the height of its loss, or in the backward pass of its topmost layer, whichever is more.

    Args:
        shape: of the base.
        setting: what is taught.
        batch: the piece.
        few: whether the logits of a few targets are there at once, and not those of all.
    """
    layers, inside = act.kept(shape, setting, batch), act.backward(shape, setting, batch)
    kept = act.slopes(shape, setting, batch) if few else 0
    loss = kept + act.logits(shape, setting, act.few(shape, batch.targets) if few else batch.targets)
    if setting.checkpoint:
        inside += act.layer(shape, setting, batch, sites(shape, setting))
    return {"activations": layers, "logits": max(loss, inside)}


def _answers(shape: Shape, setting: Setting, rows: int, before: int) -> dict[str, int]:
    """Questions behind worked examples: their beginning's keys and values once, and once for every row."""
    shown = (
        min(setting.head + before * (setting.length - setting.head), shape.context - setting.length - SPARE)
        if setting.prefix or before
        else 0
    )
    each = shape.layers * shape.seen * setting.width
    cache = each * (shown * (1 + rows) + rows * (setting.length + SPARE))
    return {"keys and values": cache, "logits": LOSS * act.few(shape, rows * setting.answer) * shape.vocabulary}


def meta_step(shape: Shape, setting: Setting) -> list[Moment]:
    """The inner loop on all tasks' support, then the query behind it.

    Raises:
        BaseRefused: second derivatives of a family whose are not known here.
    """
    numbers = adapter_numbers(shape, setting)
    # The first bank, the one that moves, its gradient and the next; the meta-weights and their direction, and Adam's memory of both.
    bank = 4 * numbers * (4 * (setting.tasks + 1) + 5)
    # Examples that the base has no room for are left out.
    shown, all_of = (min(_chain(setting, setting.examples + more), shape.context) for more in (0, 1))
    support = Batch(setting.tasks, shown, setting.tasks * setting.examples * setting.answer, gathered=False)
    asked = setting.tasks * setting.queries
    query = Batch(asked, all_of, asked * setting.answer)
    if setting.order == 1:
        inner, walked = _step(shape, setting, support), {}
    else:
        step = twice(shape, setting, support)
        inner = {"activations": step, "logits": act.logits(shape, setting, support.targets)}
        graph = setting.inner * (step + 8 * support.targets * shape.vocabulary + 8 * numbers * (setting.tasks + 1))
        walked = {"the inner steps' graph": graph}
    held = {"banks": bank}
    return [
        Moment("an inner step", held | inner | {name: size - size // setting.inner for name, size in walked.items()}),
        Moment("the query's gradient", held | _step(shape, setting, query) | walked),
    ]


def twice(shape: Shape, setting: Setting, batch: Batch) -> int:
    """Bytes that one inner step keeps when its gradient is to be differentiated: attention in the math kernel, and the backward's own."""
    if shape.family not in GATED or shape.family == "gemma2":
        raise BaseRefused(f"Second derivatives through a base of the family '{shape.family}' are not forecast: plan with --order 1.")
    d, asks, bent = setting.width, shape.heads * shape.head, sites(shape, setting)
    each = 32 * shape.width + 9 * d * shape.inner + 16 * asks + 12 * shape.heads * batch.length
    # What a site is fed, which sites of one input share, and the gradient of what it gives.
    inputs = {it.name.rpartition(".")[2] in ("q_proj", "k_proj", "v_proj") or it.name: it.width_in for it in bent}
    if {"mlp.gate_proj", "mlp.up_proj"} <= set(inputs):
        inputs.pop("mlp.up_proj")
    each += d * (sum(inputs.values()) + sum(it.width_out for it in bent))
    return (shape.layers - setting.lowest) * batch.tokens * each


def tuning(shape: Shape, setting: Setting) -> list[Moment]:
    """Every weight trained by AdamW in the base's precision: the second step's loss, and the optimiser's step."""
    rows = min(setting.examples, max(1, setting.piece // setting.length))
    batch = Batch(rows, setting.length, rows * setting.length)
    d, asks, seen = setting.width, shape.heads * shape.head, shape.seen
    each = 2 * (4 * shape.width + 4) + 4 * d * shape.width + 2 * d * asks + d * seen + 4 * shape.heads + 4 * d * shape.inner
    if setting.unfused and shape.groups < shape.heads:
        # PyTorch's last resort: keys and values for every head, and the square of each.
        each += d * (2 * asks - seen) + 4 * shape.heads * (setting.length - 1)
    layers = batch.tokens * (shape.layers * each + 4 * shape.width + 2 * d * shape.width)
    moments, numbers = 2 * d * shape.parameters, shape.parameters
    # On a card AdamW has the square roots of all second moments at once, elsewhere of one tensor at a time.
    table = d * shape.vocabulary * shape.width
    loss = {"Adam's moments": moments, "activations": layers, "logits": act.logits(shape, setting, batch.targets)}
    step = {"Adam's moments": moments, "gradients": d * numbers, "temporaries of the optimiser": d * numbers if setting.card else 2 * table}
    return [Moment("the loss", loss), Moment("the optimiser's step", step)]


def answering(shape: Shape, setting: Setting, spare: int = 0) -> list[Moment]:
    """All rows at work, each with its own adapter as far as there are so many.

    Args:
        shape: of the base.
        setting: rows, their tokens, and adapters.
        spare: bytes of a second copy of the linears, where the server keeps one.
    """
    d, numbers = setting.width, adapter_numbers(shape, setting)
    # The base's slot and one adapter's are there whatever the bank may hold.
    slots = min(doubled(4, setting.adapters + 1), max(2, SEATS // (numbers * d)))
    each = shape.layers * shape.seen * d
    worn = min(setting.adapters, setting.rows, slots - 1)
    cache = doubled(1, setting.rows) * doubled(64, setting.context) * each
    told = setting.rows + min(GUESSED, GUESSES * setting.rows)
    tokens = CHUNK + told
    wide = max(shape.heads * shape.head + shape.seen, 2 * shape.inner)
    held = {
        "bank": slots * numbers * d if setting.adapters else 0,
        "adapters as read": min(2 * setting.adapters * numbers, max(SEATS, 2 * numbers)),
        "adapters as one product": worn * _dense(shape, setting) * d,
        "keys and values": cache,
        "prompts kept": min(KEPT, setting.rows * setting.context * each),
        "a pass": tokens * d * (2 * wide + 4 * shape.width) + told * shape.vocabulary * (d + 4),
        "weights in the CPU's order": spare,
    }
    return [Moment("all rows at work", {name: size for name, size in held.items() if size})]


def _dense(shape: Shape, setting: Setting) -> int:
    """Numbers of one adapter laid out for the packed pass: B stands in columns of its whole group."""
    groups = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
    total = 0
    for it in sites(shape, setting):
        name = it.name.rpartition(".")[2]
        group = next((names for names in groups if name in names), (name,))
        width = sum(other.width_out for other in shape.linears if other.name.rpartition(".")[2] in group)
        total += setting.rank * (it.width_in + width)
    return total * (shape.layers - setting.lowest)
