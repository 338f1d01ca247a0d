from pathlib import Path

import pytest
import torch

from headstart.errors import SettingsError
from headstart.learners.gradient import Maml
from headstart.net import Mlp
from headstart.recipes.assemble import assemble, settle
from headstart.train.meta import meta_train
from tests.recipes.jobs import made, pictures, told, waves


def test_nets_that_do_not_fit_are_told() -> None:
    assert "reads square images" in told(waves("maml", net={"kind": "conv4"}))
    assert "has no weights" in told(waves("maml", net={"kind": "raw"}))
    assert "one at least is wanted" in told(waves("snail", net={"kind": "mlp", "widths": []}))
    assert made(waves("maml", net={"widths": []})).learner == Maml(Mlp((1, 1)), steps=1, rate=0.01)


def test_a_fixed_net_stays_as_it_was_begun_and_the_rest_is_trained(image_folder: Path) -> None:
    few = {"outer": {"steps": 2, "batch": 1}, "evaluate": {"tasks": 2}}
    table = pictures(image_folder, "snail", net={"fixed": True}, **few)
    net = {name: w for name, w in made(pictures(image_folder, "snail")).learner.begin(1).items() if name.startswith("net.")}
    job = assemble(settle(table), given=net)
    *_, ended = meta_train(job.learner, job.tasks, job.outer, job.watch, job.judge, job.begin())
    fresh = job.learner.begin(0) | net
    assert net
    assert {name for name, w in ended.meta.items() if torch.equal(w, fresh[name])} == set(net)


def test_a_net_that_cannot_stay_is_told(image_folder: Path) -> None:
    fixed = {"net": {"fixed": True}}
    assert "maml trains nothing besides the net" in told(pictures(image_folder, "maml", **fixed))
    assert "prototypes trains nothing besides the net" in told(pictures(image_folder, "prototypes", **fixed))
    assert "no net was begun with" in told(pictures(image_folder, "snail", **fixed))
    with pytest.raises(SettingsError, match="no net was begun with"):
        assemble(settle(pictures(image_folder, "snail", **fixed)), given={"answer.bias": torch.zeros(2)})
    assert "would shrink the net" in told(pictures(image_folder, "snail", **fixed, outer={"decay": 0.1}))


def test_a_level_head_prefers_no_class_and_the_rest_is_drawn(image_folder: Path) -> None:
    drawn, level = (made(pictures(image_folder, "maml", net={"level": on})).learner.begin(0) for on in (False, True))
    assert {name for name in drawn if not torch.equal(drawn[name], level[name])} == {"net.head.weight"}
    assert not level["net.head.weight"].any()
    assert "no head follows" in told(pictures(image_folder, "prototypes", net={"level": True}))
