"""A device that is not the processor, on a machine that has none: tensors that say they lie elsewhere, and refuse those that do not.

Their numbers are on the CPU, so everything is really computed; what a GPU would refuse, a product of something there and something here,
is refused too. They say "meta", as that is the one device that every build of torch has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

ELSEWHERE = torch.device("meta")
_CPU = torch.device("cpu")
_ATEN = torch.ops.aten
_MAY_CROSS = {_ATEN._to_copy.default, _ATEN.copy_.default, _ATEN.index.Tensor, _ATEN.index_put_.default, _ATEN._index_put_impl_.default}
"""Copies, and indices from the CPU, which a GPU takes too."""


class Far(Tensor):
    """A tensor elsewhere."""

    near: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, near: Tensor) -> Far:
        made: Far = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, near.shape, strides=near.stride(), storage_offset=near.storage_offset(), dtype=near.dtype, device=ELSEWHERE
        )
        made.near = near
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _carried_out(func, args, kwargs or {})

    def tolist(self) -> Any:
        return self.near.tolist()

    def __getitem__(self, key: Any) -> Tensor:
        return super().__getitem__(_index(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_index(key), value)


class _Watch(TorchDispatchMode):
    """What is made there is made by no tensor that is there already."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _carried_out(func, args, kwargs or {})


def _index(key: Any) -> Any:
    """A list goes to where the tensor is, which torch does below what can be watched."""
    one = lambda it: Far(torch.as_tensor(it)) if isinstance(it, list) else it  # noqa: E731
    return tuple(map(one, key)) if isinstance(key, tuple) else one(key)


def _carried_out(func: Any, args: Any, kwargs: Any) -> Any:
    leaves = tree_leaves((args, kwargs))
    far = [it for it in leaves if isinstance(it, Far)]
    near = [it for it in leaves if isinstance(it, Tensor) and not isinstance(it, Far) and it.dim()]
    if far and near and func not in _MAY_CROSS:
        raise RuntimeError(f"{func} of {[tuple(it.shape) for it in far]} elsewhere and {[tuple(it.shape) for it in near]} here")
    wanted = [it for it in leaves if isinstance(it, torch.device)]
    there = wanted[0].type == ELSEWHERE.type if wanted else bool(far)
    if func is _ATEN.copy_.default:
        there = isinstance(args[0], Far)
    here = tree_map(lambda it: it.near if isinstance(it, Far) else _CPU if isinstance(it, torch.device) else it, (args, kwargs))
    out = func(*here[0], **here[1])
    same = {id(it.near): it for it in far}
    return tree_map(lambda it: same.get(id(it), Far(it) if there else it) if isinstance(it, Tensor) else it, out)


@contextmanager
def elsewhere(monkeypatch: Any) -> Iterator[None]:
    """While this lasts, what is to be made on the device `ELSEWHERE` is."""
    made: Callable[..., Tensor] = torch.tensor

    def tensor(data: Any, *, device: Any = None, **more: Any) -> Tensor:
        # torch fills it below what can be watched.
        near = made(data, device=_CPU, **more)
        return near if device is None else near.to(device)

    monkeypatch.setattr(torch, "tensor", tensor)
    # Wrapped tensors and those that remember no graph do not go together.
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)
    with _Watch():
        yield


def moved(model: Any) -> Any:
    """A module's weights and buffers, elsewhere."""
    for module in model.modules():
        for name, it in list(module._parameters.items()):
            module._parameters[name] = it if it is None else nn.Parameter(Far(it.detach()), requires_grad=False)
        for name, it in list(module._buffers.items()):
            module._buffers[name] = it if it is None else Far(it)
    return model
