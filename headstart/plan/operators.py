"""How many operators a step and a token launch: where each has little to do, launching them is what takes the time.

Counted as torch dispatches them, views included, on Llama in half precision, and held to that by `tests/plan/test_operators.py`; other
families launch a fifth fewer up to a third more. Widths and lengths do not matter.
"""

from __future__ import annotations

from headstart.plan.moments import conversations
from headstart.plan.setting import Setting, sites
from headstart.plan.shape import Shape
from headstart.terms import bundles

_FORWARD, _BACKWARD, _AGAIN = (77, 11), (99, 22), (95, 19)
"""Of a bent layer, and of each linear that is bent in it: forward, backward, and forward once more where layers are computed again."""
_BARE = 80
"""Of a layer that is not bent."""
_ENDS = 130
"""Of embedding, head, loss and the optimiser, which moves all tensors at once."""
_READ, _READ_BENT, _READ_ENDS = 42, 4, 50
"""Of a layer, of each bent linear in it, and of all else, where one token is read without a gradient."""


def pieces(shape: Shape, setting: Setting) -> int:
    """In how many parts a step goes through its examples."""
    return len(bundles(conversations(shape, setting, setting.examples), setting.piece))


def of_a_step(shape: Shape, setting: Setting, steps: int) -> float:
    """Of one step in so many.

    Args:
        shape: of the base.
        setting: what is taught.
        steps: by which what is computed once is divided.
    """
    bent, upper = len(sites(shape, setting)), shape.layers - setting.lowest
    each = [_FORWARD, _BACKWARD] + ([_AGAIN] if setting.checkpoint else [])
    piece = _ENDS + upper * sum(alone + more * bent for alone, more in each)
    return pieces(shape, setting) * (piece + _BARE * setting.lowest * lower_share(setting, steps))


def of_a_token(shape: Shape, setting: Setting) -> int:
    """Of a pass that makes answers grow by a token."""
    return _READ_ENDS + _READ * shape.layers + _READ_BENT * len(sites(shape, setting)) * (shape.layers - setting.lowest)


def lower_share(setting: Setting, steps: int) -> float:
    """How often a step runs the layers below the lowest bent one: once, or once in all where examples stay as they are."""
    return 1.0 if setting.prefix else 1.0 / max(1, steps)
