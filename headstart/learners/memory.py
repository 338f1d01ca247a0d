"""A memory-augmented neural network: a controller that reads and writes an external memory as the support goes by."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal, final

import torch
import torch.nn.functional as F
from torch import Tensor

from headstart.bank import Weights
from headstart.episode import Asked, Episodes, Labelled
from headstart.learners.closeness import cosine
from headstart.learners.embedding import codes, embed
from headstart.learners.layers import draw_linear, draw_lstm, linear, lstm
from headstart.learners.learner import Meta
from headstart.learners.parts import mean_gradient, prefixed
from headstart.net import Net, Raw
from headstart.settings import below, not_above_none, refuse


@final
@dataclass(frozen=True)
class Memory:
    """An external memory, and how it was last used; the first axis is tasks, or queries that go on from a task's memory."""

    content: Tensor
    """(tasks, places, width)"""
    usage: Tensor
    """how much each place was read and written of late, (tasks, places)"""
    attention: Tensor
    """where each head read last, (tasks, heads, places)"""
    read: Tensor
    """what each head read last, (tasks, heads, width)"""

    @classmethod
    def empty(cls, like: Tensor, tasks: int, heads: int, places: int, width: int) -> Memory:
        """Nothing written, nothing read."""
        zeros = like.new_zeros
        return cls(zeros(tasks, places, width), zeros(tasks, places), zeros(tasks, heads, places), zeros(tasks, heads, width))

    def access(self, keys: Tensor, gates: Tensor, scale: Tensor, decay: float) -> Memory:
        """Write each head's key, then read by it: least recently used access.

        A head writes to where it read last, by its gate, or else to a place of least use, which is erased before; of several heads
        the first takes the least used place, the second the next.

        Args:
            keys: (tasks, heads, width).
            gates: 1 writes to where was read last, 0 to the least used place, (tasks, heads).
            scale: of the cosines before the softmax, (); 1 in the paper.
            decay: what is left of usage at each access.

        Source: Santoro et al. 2016, equations 2 to 4 (read) and 5 to 8 (write), in section 3.
        """
        heads, places = self.attention.shape[1:]
        # A stable sort, so that ties fall alike in any batch.
        least = F.one_hot(self.usage.argsort(dim=1, stable=True)[:, :heads], places).to(keys.dtype)
        writing = gates[..., None] * self.attention + (1 - gates[..., None]) * least
        content = self.content * (1 - least.sum(1))[..., None] + writing.mT @ keys
        attention = F.softmax(scale * cosine(keys, content), dim=2)
        usage = decay * self.usage + attention.sum(1) + writing.sum(1)
        return Memory(content, usage, attention, attention @ content)


@final
@dataclass(frozen=True)
class State:
    """What a task has left behind in the network; the first axis is tasks."""

    memory: Memory
    carry: Tensor
    """the controller's output and cell, (2, tasks, hidden)"""
    label: Tensor
    """the code of the answer to the example before, (tasks, ways)"""
    centre: Tensor
    """what is taken out of every input's features, (tasks, features)"""

    def of(self, tasks: Tensor) -> State:
        """A copy of some tasks' states, each as often as it is named."""
        m = self.memory
        memory = Memory(m.content[tasks], m.usage[tasks], m.attention[tasks], m.read[tasks])
        return State(memory, self.carry[:, tasks], self.label[tasks], self.centre[tasks])


@final
@dataclass(frozen=True)
class Mann:
    """Learning as a recurrent network does it: an example goes in with the answer to the one before, and the memory binds them.

    Every query goes on from the state that the support left, by itself: what it writes reaches no other query. Answers may be
    classes or values. The order of the support matters, and the sources of tasks shuffle it.

    Fast is a State. Meta: "net.*", and linear layers "controller", "key", "gate", "answer", and "log_scale", the read's learned
    inverse temperature; the paper's is 1.

    Source: Santoro et al. 2016, Meta-learning with memory-augmented neural networks, sections 2 and 3. Each head keeps a key and a gate
    of its own; with one head this is the paper's text.
    """

    net: Net = field(default_factory=Raw)
    """The embedding; by default inputs as they are, flattened."""
    features: int = 784
    """Width of what the net gives."""
    ways: int = 5
    """Classes of a task; or the width of its values."""
    controller: Literal["lstm", "feedforward"] = "lstm"
    """With a state of its own, or with none but the memory."""
    hidden: int = 200
    """Width of the controller."""
    places: int = 128
    """Rows of the memory."""
    width: int = 40
    """Width of such a row."""
    heads: int = 4
    """Reads, and writes, at each step."""
    decay: float = 0.95
    """What is left of a place's usage at each step."""
    scale: float = 1.0
    """Where the read's inverse temperature starts."""
    centred: bool = False
    """Take the mean of a task's support features out of every input, the first ones too, which so know of later inputs and of no answer.
    What all inputs share hides from the keys' cosines what tells them apart. Not in the paper."""
    whole: bool = True
    """Train on every prediction of the episode, the support's too and first sights among them, as the paper does; else on the query."""

    def __post_init__(self) -> None:
        wrong = below(1, self, "hidden", "places", "width", "heads") + not_above_none(self, "scale")
        wrong += [] if 0 <= self.decay <= 1 else [f"learner.decay is {self.decay}; 0 to 1 is wanted."]
        # Each writes to a place of its own.
        wrong += (
            [f"learner.heads is {self.heads}; no more than learner.places, {self.places}, are wanted."] if self.heads > self.places else []
        )
        refuse(wrong)

    def begin(self, seed: int) -> Meta:
        """Fresh weights of the embedding, the controller, its keys and gates, and the answer."""
        chance, reading = torch.Generator().manual_seed(seed), self.heads * self.width
        seen = self.features + self.ways + reading
        recurrent = self.controller == "lstm"
        layers = {
            "net": self.net.blank(seed),
            "controller": draw_lstm(seen + self.hidden, self.hidden, chance) if recurrent else draw_linear(seen, self.hidden, chance),
            "key": draw_linear(self.hidden, reading, chance),
            "gate": draw_linear(self.hidden, self.heads, chance),
            "answer": draw_linear(self.hidden + reading, self.ways, chance),
        }
        named = {name: w for layer, weights in layers.items() for name, w in prefixed(layer, weights).items()}
        return named | {"log_scale": torch.tensor(math.log(self.scale))}

    def adapt(self, meta: Meta, support: Labelled) -> State:
        """The state after the support.

        Raises:
            TasksError: more classes, or values of another width, than `ways`.
            BankError: the net gives another width than `features`.
        """
        return self._read(meta, support)[0]

    def predict(self, meta: Meta, fast: State, asked: Asked) -> Tensor:
        """Scores or values of each query by itself, (rows, n, ways)."""
        x = embed(self.net, meta, asked.inputs, self.features)
        owner = asked.owners.repeat_interleave(x.shape[1])
        state = fast.of(owner)
        output = self._step(meta, state, x.flatten(0, 1) - state.centre)[1]
        return output.view(*x.shape[:2], self.ways)

    def meta_gradient(self, meta: Meta, episodes: Episodes) -> tuple[Weights, Tensor]:
        """Through every prediction of the episode, all of them alike; or through the query loss."""
        shown, asked = (side.targets.shape[1] for side in (episodes.support, episodes.query))
        weight = shown / (shown + asked) if self.whole else 0.0

        def objective(leaves: Weights) -> tuple[Tensor, Tensor]:
            fast, outputs = self._read(leaves, episodes.support)
            losses = episodes.query.losses(self.predict(leaves, fast, episodes.query.asked))
            return weight * episodes.support.losses(outputs) + (1 - weight) * losses, losses

        return mean_gradient(meta, objective)

    def _read(self, meta: Meta, support: Labelled) -> tuple[State, Tensor]:
        """The state after the support, and what was predicted of each example before its answer was seen, (tasks, n, ways)."""
        x = embed(self.net, meta, support.inputs, self.features)
        labels = codes(support.targets, self.ways, x.dtype)
        memory = Memory.empty(x, support.tasks, self.heads, self.places, self.width)
        centre = x.mean(1) if self.centred else torch.zeros_like(x[:, 0])
        state = State(memory, x.new_zeros(2, support.tasks, self.hidden), torch.zeros_like(labels[:, 0]), centre)
        outputs = []
        for example, label in zip((x - centre[:, None]).unbind(1), labels.unbind(1), strict=True):
            state, output = self._step(meta, state, example)
            state = replace(state, label=label)
            outputs.append(output)
        return state, torch.stack(outputs, dim=1)

    def _step(self, meta: Meta, state: State, x: Tensor) -> tuple[State, Tensor]:
        """One example, (tasks, features) -> the state after it, and its output (tasks, ways)."""
        seen = torch.cat([x, state.label, state.memory.read.flatten(1)], dim=1)
        hidden, cell = self._control(meta, seen, state.carry)
        keys = torch.tanh(linear(meta, "key", hidden)).unflatten(1, (self.heads, self.width))
        gates = torch.sigmoid(linear(meta, "gate", hidden))
        memory = state.memory.access(keys, gates, meta["log_scale"].exp(), self.decay)
        output = linear(meta, "answer", torch.cat([hidden, memory.read.flatten(1)], dim=1))
        return replace(state, memory=memory, carry=torch.stack([hidden, cell])), output

    def _control(self, meta: Meta, seen: Tensor, carry: Tensor) -> tuple[Tensor, Tensor]:
        hidden, cell = carry.unbind(0)
        if self.controller == "lstm":
            return lstm(meta, "controller", torch.cat([seen, hidden], dim=1), cell)
        return torch.tanh(linear(meta, "controller", seen)), cell
