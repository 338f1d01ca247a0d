"""A causal language model as a net: hooks on its linears let every row wear its own adapter.

A foreign module's forward cannot carry a bank, so the graft alone holds a route, set for the length of one
call. A checkpointed block runs again during the backward pass, when that call is over: its context captures the route and lays
it again, so nothing depends on what happens to be set at the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from inspect import signature
from typing import Any, final

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from headstart.bank import Bank, Weights, bend
from headstart.errors import BankError, BaseRefused
from headstart.lm.batch import Batch
from headstart.lm.route import Route, check
from headstart.lm.sites import Site, blocks_of, find_sites, layer_of
from headstart.loss import few_at_once
from headstart.terms import LOGITS


@final
class Grafted:
    """A frozen causal LM whose linears a bank can bend.

    Args:
        model: any `AutoModelForCausalLM`; frozen and set to evaluation by this.
        targets: module-name endings as in PEFT, or "all-linear".
        layers: indices of the layers to bend; None: all.
        rank: of the LoRA that `blank` draws; a bank may have others.

    Raises:
        BaseRefused: no linear carries one of the target names, or the model has no list of layers.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        targets: Sequence[str] | str = ("q_proj", "v_proj"),
        layers: Sequence[int] | None = None,
        rank: int = 8,
    ) -> None:
        self.model = model.requires_grad_(False).eval()
        self.sites: dict[str, Site] = find_sites(model, targets, layers)
        self.rank = rank
        self._route: Route | None = None
        self._blocks = blocks_of(model)
        self._tuples: bool | None = None
        """whether a block gives its hidden states first in a tuple, as Falcon's and BLOOM's do; None: none has run yet"""
        self._cache = cache_of(model)
        self.cut = min(layer_of(name) or 0 for name in self.sites)
        """the lowest bent layer: what lies below it is the same under every adapter"""
        self._handles = [model.get_submodule(name).register_forward_hook(partial(self._bend, name)) for name in self.sites]
        self._handles.append(_head(model).register_forward_pre_hook(self._keep))
        for i, block in enumerate(self._blocks):
            block.forward = partial(self._relay, i, block.forward)

    def remove(self) -> None:
        """Take every hook off; the model is as it was."""
        for handle in self._handles:
            handle.remove()
        self.checkpoint(False)
        for block in self._blocks:
            block.__dict__.pop("forward", None)

    @property
    def device(self) -> torch.device:
        """Where the base lives."""
        return torch.device(self.model.device)

    @property
    def layers(self) -> int:
        """How many layers the base has."""
        return len(self._blocks)

    @property
    def few(self) -> int:
        """Targets whose logits are held at once."""
        return max(1, LOGITS // int(self.model.config.get_text_config().vocab_size))

    @property
    def window(self) -> float:
        """Tokens that a layer with a sliding window sees at most; infinite where no layer has one."""
        return getattr(self.model.config.get_text_config(), "sliding_window", None) or float("inf")

    def blank(self, seed: int) -> Weights:
        """A fresh LoRA: A drawn so that (x A^T) keeps x's scale, B zero. fp32 whatever the base's dtype.

        Returns:
            `site.lora_A` (rank, width_in) and `site.lora_B` (width_out, rank) for every site.

        Source: Hu et al. 2021, LoRA, section 4.1.
        """
        rng = torch.Generator().manual_seed(seed)
        dtype = torch.promote_types(self.model.dtype, torch.float32)
        weights: Weights = {}
        for name, site in self.sites.items():
            a = torch.randn(self.rank, site.width_in, generator=rng, dtype=dtype, device="cpu") / site.width_in**0.5
            weights[f"{name}.lora_A"] = a.to(self.device)
            weights[f"{name}.lora_B"] = torch.zeros(site.width_out, self.rank, dtype=dtype, device=self.device)
        return weights

    def __call__(self, bank: Bank, slots: Tensor, inputs: Batch) -> Tensor:
        """Logits at the batch's targets only, each row under its own slot: (targets, vocabulary)."""
        route = Route(bank, slots, keep=(inputs.owner, inputs.place), below=inputs.below)
        return self._run(route, input_ids=inputs.tokens, use_cache=False)[0]

    def losses(self, bank: Bank, slots: Tensor, inputs: Batch) -> Tensor:
        """The loss at each of the batch's targets, (targets,) in nats, from the logits of a few at a time; for first derivatives alone."""
        caught: list[Tensor] = []
        route = Route(bank, slots, keep=(inputs.owner, inputs.place), below=inputs.below, caught=caught)
        self._run(route, input_ids=inputs.tokens, use_cache=False)
        return self.losses_of(caught[0], inputs.labels)

    def losses_of(self, reaching: Tensor, labels: Tensor) -> Tensor:
        """The same of hidden states that reach the head, (targets, width)."""
        return few_at_once(reaching, labels, self.head, self.few)

    def head(self, reaching: Tensor) -> Tensor:
        """Logits of hidden states that reach the head, (n, width) -> (n, vocabulary), with all that the model itself puts behind it."""
        token = torch.zeros(1, 1, dtype=torch.int64, device=self.device)
        return self._run(Route({}, token[0], given=reaching, depth=0), input_ids=token, use_cache=False)[0]

    def hidden(self, bank: Bank, slots: Tensor, tokens: Tensor, depth: int) -> Tensor:
        """Hidden states that leave the lowest layers, each row under its own slot; neither the layers above nor the head are run.

        Args:
            bank: name -> (slots, ...).
            slots: (rows,).
            tokens: (rows, length), padded on the right.
            depth: how many layers, from 0 for the embedding alone to `layers`.

        Returns:
            (rows, length, width), before any final norm.
        """
        probe: list[Tensor] = []
        nowhere = torch.zeros(0, dtype=torch.int64, device=self.device)
        self._run(Route(bank, slots, (nowhere, nowhere), depth=depth, probe=probe), input_ids=tokens, use_cache=False)
        return probe[0]

    def lower(self, tokens: Tensor) -> Tensor:
        """Hidden states entering the lowest bent layer, (rows, length, width): the same under every adapter."""
        with torch.no_grad():
            return self.hidden({}, torch.zeros(len(tokens), dtype=torch.int64, device=self.device), tokens, self.cut)

    def feed(
        self,
        bank: Bank,
        slots: Tensor,
        tokens: Tensor,
        mask: Any,
        positions: Tensor,
        cache: Any,
        keep: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Feed tokens into a KV cache and give what reaches the head, (targets, width); mask and positions as the model itself takes them.

        Args:
            bank: name -> (slots, ...).
            slots: (rows,).
            tokens: (rows, new).
            mask: (rows, cached + new), or ready for its attention, (rows, 1, new, cached + new), or such a one by kind of layer.
            positions: of the new tokens, (rows, new).
            cache: extended in place; any object with a cache's `update`.
            keep: rows and positions among the new tokens, two (targets,); None: the last position of each row.

        Raises:
            BankError: the net checkpoints; transformers then drops the cache and says so in its log alone.
        """
        if self._blocks[0].training:
            raise BankError("A net that checkpoints its layers keeps no cache: call checkpoint(False) before generating.")
        caught: list[Tensor] = []
        self._run(
            Route(bank, slots, keep=keep, caught=caught),
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            **{self._cache: cache},
        )
        return caught[0]

    def checkpoint(self, on: bool = True) -> None:
        """Recompute each layer during the backward pass in place of keeping its activations.

        The blocks alone are set to training, as that is what they look at; dropout stays off.
        """
        if on:
            self.model.activation_checkpointing_enable({"use_reentrant": False, "context_fn": self._captured})
            # It makes the embedding's output want a gradient for good: layers that no adapter bends would keep all that they compute.
            self.model.disable_input_require_grads()
        else:
            self.model.activation_checkpointing_disable()
        for block in self._blocks:
            block.training = on

    def _run(self, route: Route, **inputs: Any) -> Tensor:
        check(route, inputs["input_ids"])
        with _Laid(self, route):
            logits: Tensor = self.model(**inputs).logits
        return logits

    def _captured(self) -> tuple[Any, Any]:
        return _Laid(self, self._route), _Laid(self, self._route)

    def _bend(self, name: str, module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> Tensor:
        route = self._route
        if route is None or f"{name}.lora_A" not in route.bank:
            return out
        return bend(out, args[0], route.bank[f"{name}.lora_A"], route.bank[f"{name}.lora_B"], route.picked)

    def _keep(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        route, hidden = self._route, args[0]
        if route is None:
            return None
        if route.given is not None:
            return (route.given[None],)
        reaching = hidden[:, -1:] if route.keep is None else hidden[route.keep][None]
        if route.caught is None:
            return (reaching,)
        route.caught.append(reaching.flatten(0, 1))
        return (hidden[:, :0],)

    def _relay(self, index: int, forward: Callable[..., Any], hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        route, run = self._route, partial(forward, hidden_states, *args, **kwargs)
        if route is None:
            return run()
        if route.below is not None and index < self.cut:
            out = self._passed(route.below if index == self.cut - 1 else hidden_states, run)
        elif route.depth is not None and index >= route.depth:
            out = self._passed(hidden_states, run)
        else:
            out = run()
            self._tuples = isinstance(out, tuple)
        if route.probe is not None and index == self.layers - 1:
            route.probe.append(out[0] if self._tuples else out)
        return out

    def _passed(self, hidden: Tensor, run: Callable[[], Any]) -> Any:
        """Hidden states as a block hands them on that is not run; where none was before, this one is, to see how."""
        if self._tuples is None:
            with torch.no_grad():
                self._tuples = isinstance(run(), tuple)
        return (hidden,) if self._tuples else hidden


class _Laid:
    """A context in which a net has a route; a backward pass may enter a captured one again, as often as it asks."""

    def __init__(self, net: Grafted, route: Route | None) -> None:
        self._net, self._laid, self._before = net, route, []  # type: tuple[Grafted, Route | None, list[Route | None]]

    def __enter__(self) -> None:
        self._before.append(self._net._route)
        self._net._route = self._laid

    def __exit__(self, *error: object) -> None:
        self._net._route = self._before.pop()


def cache_of(model: PreTrainedModel) -> str:
    """What a model's forward calls the cache: transformers 5.24 renamed it, and takes the former name until 5.40."""
    return "cache" if "cache" in signature(type(model).forward).parameters else "past_key_values"


def _head(model: PreTrainedModel) -> nn.Module:
    head: nn.Module | None = model.get_output_embeddings()
    if head is None:
        raise BaseRefused(f"{type(model).__name__} has no output head: a causal language model is needed.")
    return head
