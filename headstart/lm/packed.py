"""A pass over rows of unequal length for models of Llama's shape: all new tokens packed one behind the other, without padding.

Prompts that are read and answers that grow share one pass, so every linear is one product over all of them. A model's own forward wants
rows of equal length and calls some two thousand modules for a token; this one calls the products and little else. `Hooked` is its twin.

Adapters ride along as dense products too. The A of all adapters in the pass stand below each other and their B beside each other; what a
token gets from adapters that its row does not wear is set to zero in between. For the few that one pass wears this beats gathering an A and
a B for every row; it is exact, as x + 0 is x where every B is finite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad, rms_norm, scaled_dot_product_attention

from headstart.bank import BASE, Bank
from headstart.lm.graft import Grafted
from headstart.lm.hooked import Hooked
from headstart.lm.places import Places, Turn
from headstart.lm.products import products
from headstart.lm.quantised import bits_of_linear
from headstart.terms import GUESSES

SHAPED = {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"}
SHORT = 1 + GUESSES
"""Tokens of a turn that is read beside other rows' in one attention; longer ones, which are prompts, have their own."""
_ATTENTION, _MLP = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj")


def fits(net: Grafted) -> bool:
    """Whether a model is of Llama's shape throughout: one of four classes, linears plain or in few bits, every layer sees all tokens."""
    model, config = net.model, net.model.config
    if type(model).__name__ not in SHAPED or net.window != float("inf"):
        return False
    linears = [getattr(block.self_attn, n) for block in model.model.layers for n in _ATTENTION]
    linears += [getattr(block.mlp, n) for block in model.model.layers for n in _MLP] + [model.lm_head]
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return kinds == {"full_attention"} and all(type(it) is nn.Linear or bits_of_linear(it) for it in linears)


def reader(net: Grafted, fast: bool = False) -> Packed | Hooked:
    """The faster of the passes that a model can be read by; `fast` as in `Packed`."""
    return Packed(net, fast) if fits(net) else Hooked(net)


@final
@dataclass(frozen=True)
class _Lay:
    """Where the tokens of a pass belong; T of them."""

    rows: Tensor
    """(T,)"""
    positions: Tensor
    """(T,)"""
    longest: int
    """Tokens of the longest row, new ones included."""
    index: Tensor
    """Which of the T the short turn of each row holds, (rows, most of them): the last again where it has fewer, any where it has none."""
    short: Tensor
    """Those of the T that stand in short turns."""
    seats: Tensor
    """Where each of them stands in `index`, read row by row."""
    everybody: bool
    """Whether all T stand there in order, and as many in each row."""
    mask: Tensor
    """What each seat looks at, (rows, 1, heads that share a key's x most of them, length)."""
    spans: tuple[tuple[int, int, int, int, Tensor | None], ...]
    """Of every longer turn: row, its tokens, first and last (exclusive) of the T, and which of its tokens each of those sees, (new,
    tokens); None where it is those before it, as the causal kernel, which is the faster one, has it."""
    ends: Tensor
    """Tokens behind which it is told what follows."""


@final
class Packed:
    """See `Hooked`.

    Args:
        net: one that `fits`.
        fast: keep the weights a second time; see `products`.
    """

    abreast = True

    def __init__(self, net: Grafted, fast: bool = False) -> None:
        self._net, self._inner = net, net.model.model
        self._blocks = [_Block(f"model.layers.{i}", block, fast) for i, block in enumerate(self._inner.layers)]
        self._groups = [group for block in self._blocks for group in (block.look, block.tell, block.widen, block.narrow)]
        self.head = products([net.model.lm_head], fast)
        config = net.model.config
        self._heads = (config.num_attention_heads, config.num_key_value_heads)
        self._worn: tuple[list[tuple[int, str]], dict[str, tuple[Tensor, Tensor]]] = ([], {})
        """What the last passes wore, slot and content, and that as dense products by the first site of each group."""

    def __call__(self, places: Places, bank: Bank, turns: Sequence[Turn]) -> Tensor:
        """See `Hooked`."""
        return self.head(self.reach(places, bank, turns))

    def reach(self, places: Places, bank: Bank, turns: Sequence[Turn]) -> Tensor:
        """See `Hooked`."""
        lay = self._lay(places, turns)
        tokens = torch.tensor([token for turn in turns for token in turn.tokens], device=self._net.device)
        hidden = self._inner.embed_tokens(tokens)
        cos, sin = (part[0, :, None] for part in self._inner.rotary_emb(hidden, lay.positions[None]))
        low, high = sin.chunk(2, -1)
        turned = cos, torch.cat((-low, high), -1)
        bends = self._bends(bank, turns, hidden)
        for i, block in enumerate(self._blocks):
            hidden = hidden + self._attend(block, _norm(block.norms[0], hidden), places, i, lay, turned, bends)
            gate, up = bends(block.widen, _norm(block.norms[1], hidden)).chunk(2, -1)
            hidden = hidden + bends(block.narrow, block.bow(gate) * up)
        places.grow(turns)
        return _norm(self._inner.norm, hidden[lay.ends])

    def _lay(self, places: Places, turns: Sequence[Turn]) -> _Lay:
        device, count = self._net.device, len(places.lengths)
        rows: list[int] = []
        positions: list[int] = []
        ends: list[int] = []
        held: dict[int, range] = {}
        spans = []
        for turn in turns:
            before, first, new = places.lengths[turn.row], len(rows), len(turn.tokens)
            rows += [turn.row] * new
            positions += range(before, before + new)
            ends += range(len(rows) - turn.told, len(rows))
            if new <= SHORT:
                held[turn.row] = range(first, first + new)
            else:
                sees = torch.ones(new, before + new, dtype=torch.bool, device=device).tril(before) if before else None
                spans.append((turn.row, before + new, first, first + new, sees))
        most = max(map(len, held.values()), default=0)
        index = [[held[row][min(i, len(held[row]) - 1)] if row in held else 0 for i in range(most)] for row in range(count)]
        short = [i for each in held.values() for i in each]
        seats = [row * most + i for row, each in held.items() for i in range(len(each))]
        seen = [[positions[i] if row in held else 0 for i in each] for row, each in enumerate(index)]
        told = [torch.tensor(each, device=device, dtype=torch.int64) for each in (rows, positions, index, short, seats, ends)]
        everybody = seats == list(range(count * most)) and short == list(range(len(rows)))
        mask = self._mask(torch.tensor(seen, device=device), max(map(max, seen)) + 1 if most else 0)
        return _Lay(told[0], told[1], max(positions) + 1, told[2], told[3], told[4], everybody, mask, tuple(spans), told[5])

    def _mask(self, seen: Tensor, length: int) -> Tensor:
        """See `_Lay.mask`; each seat, (rows, most of them), looks at what stands up to there."""
        hides = torch.arange(length, device=seen.device) > seen[:, None, :, None]
        mask = torch.zeros(hides.shape, dtype=self._net.model.dtype, device=seen.device).masked_fill(hides, float("-inf"))
        return mask.repeat(1, 1, self._heads[0] // self._heads[1], 1)

    def _attend(
        self, block: _Block, x: Tensor, places: Places, layer: int, lay: _Lay, turned: tuple[Tensor, Tensor], bends: _Bends
    ) -> Tensor:
        """Self-attention of (T, width) over what every row has read."""
        count, attn, (heads, groups) = len(x), block.attention, self._heads
        whole = bends(block.look, x).view(count, heads + 2 * groups, -1)
        looks, v = whole[:, : heads + groups], whole[:, heads + groups :]
        if hasattr(attn, "q_norm"):
            looks = torch.cat([_norm(attn.q_norm, looks[:, :heads]), _norm(attn.k_norm, looks[:, heads:])], 1)
        looks = _turn(looks, *turned)
        q, k = looks[:, :heads], looks[:, heads:]
        keys, values = places.room(layer, k[None].transpose(1, 2), v[None].transpose(1, 2), lay.longest)
        keys[lay.rows, :, lay.positions], values[lay.rows, :, lay.positions] = k, v
        # The queries that share a key's head stand where a longer query would, so that no key is repeated.
        grouped = q.reshape(count, groups, heads // groups, -1)
        if lay.everybody:
            out = self._seated(grouped.unflatten(0, lay.index.shape), keys, values, lay, attn.scaling)
        else:
            out = grouped.new_empty(grouped.shape)
            if len(lay.short):
                out[lay.short] = self._seated(grouped[lay.index], keys, values, lay, attn.scaling)[lay.seats]
            for row, length, first, last, sees in lay.spans:
                said = self._span(q[first:last], keys[row, :, :length], values[row, :, :length], sees, attn.scaling)
                out[first:last] = said.reshape(last - first, *grouped.shape[1:])
        return bends(block.tell, out.reshape(count, -1))

    def _seated(self, asks: Tensor, keys: Tensor, values: Tensor, lay: _Lay, scale: float) -> Tensor:
        """A few tokens of each row at once: (rows, most of them, groups, heads that share a key's, width), its first two as one."""
        rows, length, times = len(asks), lay.mask.shape[-1], asks.shape[3]
        q = asks.permute(0, 2, 3, 1, 4).flatten(2, 3)
        said = scaled_dot_product_attention(q, keys[:rows, :, :length], values[:rows, :, :length], attn_mask=lay.mask, scale=scale)
        out: Tensor = said.unflatten(2, (times, -1)).permute(0, 3, 1, 2, 4).flatten(0, 1)
        return out

    def _span(self, asks: Tensor, keys: Tensor, values: Tensor, sees: Tensor | None, scale: float) -> Tensor:
        """Several tokens of one row, (new, heads, width), that look at (groups, length, width) each up to itself."""
        times = asks.shape[1] // len(keys)
        k, v = (it[:, None].expand(-1, times, -1, -1) for it in (keys, values))
        q = asks.transpose(0, 1).unflatten(0, (-1, times))
        said = scaled_dot_product_attention(q, k, v, sees, is_causal=sees is None, scale=scale)
        return said.flatten(0, 1).transpose(0, 1)

    def _bends(self, bank: Bank, turns: Sequence[Turn], like: Tensor) -> _Bends:
        """What this pass wears. What the last one wore beside is kept for a while: rows leave more often than new adapters come."""
        worn, had = {(turn.slot, turn.content) for turn in turns if turn.slot != BASE}, self._worn[0]
        if not worn <= set(had) or len(had) > 2 * len(worn) + 2:
            had = sorted(worn)
            slots = torch.tensor([slot for slot, _ in had], device=like.device, dtype=torch.int64)
            self._worn = had, _dense(bank, self._groups, slots, like.dtype) if had else {}
        column = {wears: i for i, wears in enumerate(had)}
        # Column -1, of the base, is none of theirs.
        each = [column.get((turn.slot, turn.content), -1) for turn in turns for _ in turn.tokens]
        wears = torch.tensor(each, device=like.device)[:, None] == torch.arange(len(had), device=like.device)
        return _Bends(self._worn[1], wears)


@final
@dataclass(frozen=True)
class _Bends:
    """Linears under the adapters of one pass."""

    dense: dict[str, tuple[Tensor, Tensor]]
    """First site of a group -> A (low, in) and B (low, out of the whole group); low counts sites, adapters and ranks."""
    wears: Tensor
    """(T, adapters), true where a token's row wears one."""

    def __call__(self, group: _Group, x: Tensor) -> Tensor:
        """The group's linears of (T, in), bent, one beside the other."""
        out = group.product(x)
        if group.names[0] not in self.dense:
            return out
        a, b = self.dense[group.names[0]]
        # No product by zero: what is infinite under an adapter of others would be none.
        low = linear(x, a).view(len(x), -1, self.wears.shape[1]).where(self.wears[:, None], 0.0)
        return torch.addmm(out, low.view(len(x), -1), b)


@final
class _Group:
    """Linears that share an input."""

    def __init__(self, at: str, linears: dict[str, nn.Linear], fast: bool) -> None:
        self.names = [f"{at}.{name}" for name in linears]
        self.sizes = [it.out_features for it in linears.values()]
        self.product = products(list(linears.values()), fast)

    def dense(self, bank: Bank, slots: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor] | None:
        """Its bent sites' A below each other, and their B each in columns of its own; None: it has no bent site."""
        all_a: list[Tensor] = []
        all_b: list[Tensor] = []
        at = 0
        for name, size in zip(self.names, self.sizes, strict=True):
            if f"{name}.lora_A" in bank:
                # The adapters stand innermost, so that one mask over them fits every site and rank.
                a, b = (bank[f"{name}.lora_{side}"][slots].to(dtype) for side in "AB")
                all_a.append(a.transpose(0, 1).flatten(0, 1))
                all_b.append(pad(b.permute(2, 0, 1).flatten(0, 1), (at, sum(self.sizes) - at - size)))
            at += size
        return (torch.cat(all_a), torch.cat(all_b)) if all_a else None


@final
class _Block:
    """A layer's parts."""

    def __init__(self, at: str, block: Any, fast: bool) -> None:
        self.attention, self.bow, self.norms = block.self_attn, block.mlp.act_fn, (block.input_layernorm, block.post_attention_layernorm)
        attn, mlp = f"{at}.self_attn", f"{at}.mlp"
        self.look = _Group(attn, {name: getattr(block.self_attn, name) for name in _ATTENTION[:3]}, fast)
        self.tell = _Group(attn, {"o_proj": block.self_attn.o_proj}, fast)
        self.widen = _Group(mlp, {name: getattr(block.mlp, name) for name in _MLP[:2]}, fast)
        self.narrow = _Group(mlp, {"down_proj": block.mlp.down_proj}, fast)


def _dense(bank: Bank, groups: Sequence[_Group], slots: Tensor, dtype: torch.dtype) -> dict[str, tuple[Tensor, Tensor]]:
    found = {group.names[0]: group.dense(bank, slots, dtype) for group in groups}
    return {name: pair for name, pair in found.items() if pair is not None}


def _norm(norm: Any, x: Tensor) -> Tensor:
    return rms_norm(x, norm.weight.shape, norm.weight, norm.variance_epsilon)


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions: (T, heads, width) by (T, 1, width), the sine's lower half negated, so that x's halves need only change places."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)
