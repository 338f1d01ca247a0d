import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.conv import Conv4
from headstart.errors import TasksError
from headstart.learners.gradient import Maml
from headstart.learners.inner import Adam, Sgd
from headstart.learners.memory import Mann
from headstart.learners.metric import Matching, Prototypical
from headstart.learners.one_by_one import OneByOne
from headstart.learners.reptile import Reptile
from headstart.learners.snail import Snail
from headstart.net import Mlp
from headstart.recipes.assemble import assemble, settle
from headstart.settings import override, pair
from headstart.tasks.episodes import ClassTasks
from headstart.tasks.sine import Sine
from headstart.train.outer import Outer
from tests.recipes.jobs import made, pictures, told, waves


def test_a_config_of_two_kinds_is_a_job() -> None:
    job = made(waves("maml"))
    assert job.learner == Maml(Mlp((1, 40, 40, 1)), steps=1, rate=0.01)
    assert (job.tasks, job.held) == (Sine(), Sine())
    assert list(job.trials) == ["as trained"]
    assert (job.outer.batch, job.outer.steps) == (25, 70_000), "as the paper has it"


def test_what_is_set_goes_before_what_the_paper_says() -> None:
    job = made(waves("maml", outer={"steps": 3}, learner={"steps": 5, "inner": "adam"}, net={"widths": [7]}))
    assert (job.outer.batch, job.outer.steps) == (25, 3)
    assert job.learner == Maml(Mlp((1, 7, 1)), steps=5, rate=0.01, inner=Adam())


def test_a_kind_is_a_class_with_some_settings_fixed() -> None:
    assert [getattr(made(waves(kind)).learner, "order", 0) for kind in ("maml", "fomaml")] == [2, 1]
    assert [getattr(made(waves(kind)).learner, "learned", "") for kind in ("meta-sgd", "lslr")] == ["element", "tensor"]
    assert getattr(made(waves("anil")).learner, "adapts", ()) == ("head.",)
    assert "learner.order is no key here" in told(waves("fomaml", learner={"order": 2}))


def test_reptile_comes_with_its_own_outer_rule() -> None:
    job = made(waves("reptile"))
    assert job.outer == Outer(optimiser="sgd", rate=1.0, schedule="linear")
    assert isinstance(job.learner, Reptile)
    assert job.learner.inner == Adam(first_decay=0.0)
    assert made(waves("reptile", learner={"inner": "sgd"})).learner == replace(job.learner, inner=Sgd())


def test_nothing_is_said_in_place_of_what_a_paper_or_a_config_sets() -> None:
    table = waves("reptile", outer={"clip": 2.0}, net={"kind": "mlp"})
    over = override(table, map(pair, ("outer.clip=", "outer.rate=", "outer.schedule=", "net.kind=")))
    assert made(over).outer == Outer(optimiser="sgd")


def test_learners_that_embed_have_nets_without_a_head(image_folder: Path) -> None:
    net = made(pictures(image_folder, "prototypes")).learner
    assert net == Prototypical(Conv4(None, channels=3, size=16))
    matching = made(pictures(image_folder, "matching", net={"kind": "conv4", "filters": 5})).learner
    assert isinstance(matching, Matching)
    assert matching.features == 5


def test_widths_that_follow_from_tasks_and_net_are_filled_in(image_folder: Path) -> None:
    mann, snail = (made(pictures(image_folder, kind, {"shots": 2})).learner for kind in ("mann", "snail"))
    assert isinstance(mann, Mann)
    assert isinstance(snail, Snail)
    assert (mann.features, mann.ways) == (3 * 16 * 16, 2)
    assert (snail.features, snail.ways, snail.length) == (64, 2, 5)
    assert (getattr(made(waves("mann")).learner, "features", 0), getattr(made(waves("mann")).learner, "ways", 0)) == (1, 1)
    assert "learner.ways is no key here" in told(pictures(image_folder, "mann", learner={"ways": 3}))


def test_a_seed_draws_other_training_tasks_and_the_same_tests(image_folder: Path) -> None:
    jobs = [made(pictures(image_folder, "prototypes") | {"seed": seed}) for seed in (0, 1)]
    train = [job.tasks.draw("train", 0, 4).query.inputs for job in jobs]
    test = [job.held.draw("test", 0, 4).query.inputs for job in jobs]
    assert not torch.equal(*train)
    assert torch.equal(*test)
    assert not torch.equal(*(made(waves("maml") | {"seed": seed}).tasks.draw("train", 0, 1).query.inputs for seed in (0, 1)))


def test_training_may_ask_for_more_than_evaluation(image_folder: Path) -> None:
    job = made(pictures(image_folder, "prototypes", {"train_ways": 3, "train_shots": 2, "train_queries": 1}))
    assert isinstance(job.tasks, ClassTasks)
    assert isinstance(job.held, ClassTasks)
    assert (job.tasks.ways, job.tasks.shots, job.tasks.queries) == (3, 2, 1)
    assert (job.held.ways, job.held.shots, job.held.queries) == (2, 1, 2)


def test_training_images_alone_are_jittered(image_folder: Path) -> None:
    plain, shaken = (made(pictures(image_folder, "prototypes", more)) for more in ({}, {"train_turn": 20, "train_shift": 0.1}))
    assert torch.equal(plain.held.draw("test", 0, 2).query.inputs, shaken.held.draw("test", 0, 2).query.inputs)
    assert not torch.equal(plain.tasks.draw("train", 0, 2).query.inputs, shaken.tasks.draw("train", 0, 2).query.inputs)
    with pytest.raises(TasksError, match="turned by 0 to 180 degrees"):
        made(pictures(image_folder, "prototypes", {"train_turn": 200}))


def test_a_head_cannot_have_two_widths(image_folder: Path) -> None:
    assert "3 classes, and tasks are judged with 2: leave tasks.train_ways out" in told(pictures(image_folder, "maml", {"train_ways": 3}))


def test_each_step_count_is_a_trial_and_the_last_is_validation_s() -> None:
    job = made(waves("fomaml", evaluate={"steps": [1, 5]}))
    assert [(name, getattr(learner, "steps", 0)) for name, learner in job.trials.items()] == [("1 steps", 1), ("5 steps", 5)]
    assert "this learner makes none" in told(waves("neighbour", evaluate={"steps": [1]}))


def test_queries_may_be_asked_alone_too() -> None:
    job = made(waves("fomaml", evaluate={"steps": [1, 5], "alone": True}))
    assert list(job.trials) == ["1 steps, asked alone", "5 steps, asked alone", "1 steps", "5 steps"]
    assert isinstance(job.trials["5 steps, asked alone"], OneByOne)


def test_everything_wrong_is_told_at_once() -> None:
    table = {
        "sed": 1,
        "tasks": {"kind": "sine", "shot": 5},
        "learner": {"kind": "mamll"},
        "outer": {"stesp": 10, "rate": "fast"},
        "evaluate": {"every": 0.5},
    }
    message = told(table)
    for wanted in (
        "6 settings cannot be used",
        "sed is no key here. Nearest: seed",
        "tasks.shot is no key here. Nearest: shots",
        "learner.kind is 'mamll'; there are maml, fomaml",
        "outer.stesp is no key here. Nearest: steps",
        "outer.rate is 'fast'; a number is wanted",
        "evaluate.every is 0.5; a whole number is wanted",
    ):
        assert wanted in message


def test_unknown_tables_and_values_in_their_place_are_told() -> None:
    assert "learnr is no table here. Nearest: learner" in told(waves("maml") | {"learnr": {"steps": 1}})
    assert "net is 'mlp'; a table is wanted, such as net.kind" in told(waves("maml") | {"net": "mlp"})


def test_kinds_are_wanted() -> None:
    message = told({})
    assert "tasks.kind is missing; there are sine, omniglot, folder" in message
    assert "learner.kind is missing; there are maml" in message
    assert "net.kind is 'cnn'; there are mlp, conv4, raw" in told(waves("maml", net={"kind": "cnn"}))
    assert "tasks.kind is 3" in told(waves("maml") | {"tasks": {"kind": 3}})


def test_values_out_of_range_are_told() -> None:
    assert "outer.batch is 0" in told(waves("maml", outer={"batch": 0}))
    with pytest.raises(TasksError, match="at least one support"):
        made(waves("maml") | {"tasks": {"kind": "sine", "shots": 0}})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told() -> None:
    assert "torch sees no GPU here" in told(waves("maml") | {"device": "cuda"})
    assert made(waves("maml") | {"device": "auto"}).place.device == torch.device("cpu")


def test_a_recording_is_for_small_nets_on_a_gpu() -> None:
    assert "recorded is true, which is for small nets on a GPU" in told(waves("maml") | {"device": "cpu", "recorded": True})


def test_a_settled_config_holds_every_key_and_settles_to_itself(image_folder: Path) -> None:
    for table in (waves("lslr", evaluate={"patience": 3}), pictures(image_folder, "reptile"), waves("neighbour")):
        text = settle(table).toml()
        assert settle(tomllib.loads(text)).toml() == text
        assert assemble(settle(tomllib.loads(text))).outer == made(table).outer
    assert "# Step size at its height.\nrate = 1.0\n" in settle(waves("reptile")).toml()


def test_every_key_has_a_meaning(image_folder: Path) -> None:
    for kind in ("maml", "reptile", "imaml", "joint", "prototypes", "matching", "mann", "snail", "neighbour"):
        for table in (waves(kind), pictures(image_folder, kind)):
            known = settle(table).known
            assert [(name, key.name) for name, there in known.items() for key in there if not key.meaning] == []


def test_defaults_are_those_of_the_keys_whatever_a_paper_says() -> None:
    defaults = settle(waves("reptile")).defaults()
    assert (defaults["outer.rate"], defaults["seed"], defaults["tasks.shots"]) == (0.001, 0, 10)
    settled = settle(waves("maml"))
    assert settled.defaults().items() >= {"evaluate.steps": [], "outer.betas": [0.9, 0.999]}.items(), "as a file has them"
    assert "tasks.train_shots" not in defaults


def test_advice_holds_only_beside_what_it_belongs_to() -> None:
    def outer(**given: Any) -> Any:
        return settle(waves("reptile", outer=given)).tables["outer"]

    assert (outer()["optimiser"], outer()["rate"]) == ("sgd", 1.0)
    assert outer(optimiser="adam")["rate"] == 0.001

    def omniglot(ways: int = 5, **learner: Any) -> tuple[Any, ...]:
        tables = settle({"tasks": {"kind": "omniglot", "ways": ways}, "learner": {"kind": "maml", **learner}}).tables
        return tables["outer"]["batch"], tables["learner"]["rate"], tables["learner"]["steps"], tables["evaluate"]["steps"]

    assert omniglot() == (32, 0.4, 1, (3,))
    assert omniglot(steps=5) == (32, 0.4, 5, ()), "judged as trained"
    assert omniglot(ways=20) == (16, 0.1, 5, ())


@pytest.mark.parametrize("kind", ["maml", "fomaml", "reptile"])
def test_characters_are_drawn_and_seen_as_in_the_learner_s_paper(kind: str) -> None:
    def seen(**top: Any) -> tuple[Any, ...]:
        tables = settle({"tasks": {"kind": "omniglot"}, "learner": {"kind": kind}, **top}).tables
        return tables["tasks"]["split"], tables["net"]["strided"]

    assert seen() == ("random", True)
    assert seen(net={"strided": False}) == ("random", False)
    assert seen(begin="prototypes") == ("vinyals", False), "as what it begins from"


def test_the_flags_of_five_ways_are_not_those_of_twenty() -> None:
    five, twenty = (settle({"tasks": {"kind": "omniglot", "ways": n}, "learner": {"kind": "reptile"}}).tables for n in (5, 20))
    assert (five["learner"]["rate"], five["learner"]["batch"], five["tasks"]["train_shots"], five["evaluate"]["steps"]) == (
        1e-3,
        10,
        10,
        (50,),
    )
    assert (twenty["outer"]["steps"], twenty["tasks"]["train_shots"], twenty["evaluate"]["steps"]) == (1000, None, ())


def test_a_number_that_is_none_or_below_none_is_refused(image_folder: Path) -> None:
    assert "learner.rate is nan; a number is wanted" in told(waves("maml", {"rate": float("nan")}))
    for kind in ("maml", "reptile", "joint", "imaml"):
        assert "rate is -0.4; 0 or more is wanted" in told(waves(kind, {"rate": -0.4}))
    with pytest.raises(TasksError, match="0"):
        made(pictures(image_folder, "prototypes", {"train_ways": 0}))
    assert "tasks.kind is ['sine']; there are sine" in told({"tasks": {"kind": ["sine"]}, "learner": {"kind": "maml"}})


def test_a_split_that_lacks_tasks_is_said_before_anything_is_trained(image_folder: Path, tmp_path: Path) -> None:
    for split, count in (("train", 2), ("val", 2), ("test", 1)):
        for number in range(count):
            shutil.copytree(next(p.parent for p in image_folder.rglob("*.png")), tmp_path / split / f"{split}{number}")
    with pytest.raises(TasksError, match="test"):
        made(pictures(tmp_path, "prototypes", {"shots": 1, "queries": 1}))
