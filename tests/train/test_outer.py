import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from headstart.bank import Weights
from headstart.errors import SettingsError
from headstart.train.outer import Outer, flatten, unflatten


def weights() -> Weights:
    rng = torch.Generator().manual_seed(1)
    return {"z": torch.randn(2, 3, generator=rng, dtype=torch.float64), "a": torch.randn((), generator=rng, dtype=torch.float64)}


def directions(count: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(2)
    return [torch.randn(7, generator=rng, dtype=torch.float64) for _ in range(count)]


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
def test_step_sizes_and_scales_do_not_decay(optimiser: str) -> None:
    at = {"net.w": torch.ones(3), "rate.net.w": torch.ones(3), "log_scale": torch.ones(())}
    outer = Outer(optimiser=optimiser, decay=0.1)  # type: ignore[arg-type]
    after, _ = outer.move(at, torch.zeros(7), outer.begin(at), 0)
    assert float(after["net.w"].max()) < 1
    assert all(torch.equal(after[name], at[name]) for name in ("rate.net.w", "log_scale"))


def moved(outer: Outer, count: int = 5) -> Weights:
    at, moments = weights(), outer.begin(weights())
    for step, direction in enumerate(directions(count)):
        at, moments = outer.move(at, direction, moments, step)
    return at


def moved_by_torch(outer: Outer, kind: Any, clip: float | None = None, count: int = 5, **options: Any) -> Weights:
    leaves = {name: w.clone().requires_grad_() for name, w in weights().items()}
    optimiser = kind(leaves.values(), lr=outer.rate, **options)
    for step, direction in enumerate(directions(count)):
        optimiser.param_groups[0]["lr"] = outer.rate_at(step)
        for name, gradient in unflatten(direction, weights()).items():
            leaves[name].grad = gradient.clone()
        if clip:
            torch.nn.utils.clip_grad_norm_(leaves.values(), clip)
        optimiser.step()
    return leaves


def same(left: Weights, right: Weights) -> bool:
    return list(left) == list(right) and all(torch.allclose(w, right[name], rtol=0, atol=1e-13) for name, w in left.items())


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize(
    ("settings", "kind", "options"),
    [
        ({"optimiser": "adam"}, torch.optim.Adam, {}),
        ({"optimiser": "adam", "betas": (0.0, 0.99), "decay": 0.1}, torch.optim.Adam, {"betas": (0.0, 0.99), "weight_decay": 0.1}),
        ({"optimiser": "adamw", "decay": 0.1}, torch.optim.AdamW, {"weight_decay": 0.1}),
        ({"optimiser": "sgd"}, torch.optim.SGD, {}),
        ({"optimiser": "sgd", "momentum": 0.9, "decay": 0.1}, torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
        ({"optimiser": "adam", "clip": 0.7}, torch.optim.Adam, {"clip": 0.7}),
    ],
)
def test_a_run_of_steps_equals_torch_s_own_optimiser(schedule: str, settings: Any, kind: Any, options: Any) -> None:
    outer = Outer(steps=8, rate=0.3, warm=2, schedule=schedule, **settings)  # type: ignore[arg-type]
    assert same(moved(outer), moved_by_torch(outer, kind, **options))


def test_nothing_is_written_to() -> None:
    for optimiser in ("adam", "adamw", "sgd"):
        outer, at, direction = Outer(optimiser=optimiser, decay=0.1, clip=1.0), weights(), directions(1)[0]  # type: ignore[arg-type]
        moments = outer.begin(at)
        outer.move(at, direction, moments, 0)
        assert same(at, weights())
        assert torch.equal(direction, directions(1)[0])
        assert all(not m.any() for m in moments.values())


def test_a_short_direction_is_not_clipped() -> None:
    assert same(moved(Outer(optimiser="sgd", clip=1e9)), moved(Outer(optimiser="sgd")))


def test_reptile_s_schedule_falls_evenly_to_nothing() -> None:
    outer = Outer(steps=4, rate=1.0, optimiser="sgd", schedule="linear")
    assert [outer.rate_at(step) for step in range(5)] == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_a_full_step_of_rate_1_lands_where_reptile_s_tasks_ended() -> None:
    outer, at = Outer(optimiser="sgd", rate=1.0), weights()
    ended = {name: w + 1 for name, w in at.items()}
    direction = flatten(at) - flatten(ended)
    assert same(outer.move(at, direction, outer.begin(at), 0)[0], ended)


def test_the_rate_warms_up_and_then_falls_along_a_cosine() -> None:
    outer = Outer(steps=10, rate=2.0, schedule="cosine", warm=4)
    wave = [1 + math.cos(math.pi * step / 10) for step in range(10)]
    assert [outer.rate_at(step) for step in range(4)] == pytest.approx([w * (step + 1) / 4 for step, w in enumerate(wave[:4])])
    assert [outer.rate_at(step) for step in range(4, 10)] == pytest.approx(wave[4:])


@given(st.permutations(["a", "b.c", "b", "z"]))
def test_flattening_does_not_depend_on_the_order_of_names(order: list[str]) -> None:
    shapes = {"a": (2,), "b.c": (), "b": (1, 2), "z": (0,)}
    named = {name: torch.full(shapes[name], float(i)) for i, name in enumerate(sorted(shapes))}
    flat = flatten({name: named[name] for name in order})
    assert flat.tolist() == [0, 0, 1, 1, 2]
    back = unflatten(flat, {name: named[name] for name in order})
    assert list(back) == order
    assert all(torch.equal(back[name], w) for name, w in named.items())


def test_a_learner_that_learns_nothing_has_no_weights_and_moves_nowhere() -> None:
    outer = Outer()
    assert outer.move({}, flatten({}), outer.begin({}), 0)[0] == {}


def test_precisions_are_kept() -> None:
    mixed = {"half": torch.ones(2, dtype=torch.bfloat16), "single": torch.ones(2)}
    outer = Outer()
    at, _ = outer.move(mixed, torch.ones(4), outer.begin(mixed), 0)
    assert {name: w.dtype for name, w in at.items()} == {"half": torch.bfloat16, "single": torch.float32}


@pytest.mark.parametrize("setting", [{"rate": math.inf}, {"decay": math.nan}, {"momentum": math.nan}, {"clip": math.nan}], ids=str)
def test_what_is_no_number_or_has_no_end_is_out_of_range(setting: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=f"outer.{next(iter(setting))} is"):
        Outer(**setting)  # type: ignore[arg-type]


def test_values_out_of_range_are_named_all_at_once() -> None:
    with pytest.raises(SettingsError) as told:
        Outer(steps=-1, batch=0, rate=math.nan, betas=(0.9, 1.0), momentum=1.0, warm=-1, decay=-0.1, clip=0.0)
    names = (
        "steps is -1",
        "batch is 0",
        "rate is nan",
        "betas is (0.9, 1.0)",
        "momentum is 1.0",
        "warm is -1",
        "decay is -0.1",
        "clip is 0.0",
    )
    assert all(f"outer.{name}; " in str(told.value) for name in names)
