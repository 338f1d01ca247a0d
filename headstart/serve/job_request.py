"""What a client sends to have an adapter taught: OpenAI's shape of a fine-tuning job."""

from __future__ import annotations

from typing import Annotated, Literal, final

from pydantic import Field

from headstart.adapters.beginnings import AUTO
from headstart.serve.ledger import Wish
from headstart.serve.limits import Refused
from headstart.serve.wire import Strict

Auto = Literal["auto"]
Text = Annotated[str, Field(max_length=512)]
SWITCHES = ("replace", "scratch", "prefix")
"""What metadata may say by "true" or "false"."""


@final
class Hyperparameters(Strict):
    """Of OpenAI's names those that mean something here."""

    n_epochs: Auto | Annotated[int, Field(ge=1, le=1000)] = "auto"
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, le=100)] = "auto"
    batch_size: Auto = "auto"


@final
class Supervised(Strict):
    """How the one method is set."""

    hyperparameters: Hyperparameters = Hyperparameters()


@final
class Method(Strict):
    """The one method that there is."""

    type: Literal["supervised"]
    supervised: Supervised = Supervised()


@final
class JobRequest(Strict):
    """`POST /v1/fine_tuning/jobs`. Metadata may hold `start`, as `--start`, and `replace`, `scratch` and `prefix`, "true" or "false".

    `scratch`: the report scores adapters from no start, too. `prefix`: "false" for weights that need no examples in front.
    """

    model: str
    training_file: str
    suffix: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    hyperparameters: Hyperparameters | None = None
    method: Method | None = None
    metadata: Annotated[dict[Text, Text], Field(max_length=16)] | None = None

    @property
    def wish(self) -> Wish:
        """In the teacher's words.

        Raises:
            Refused: metadata has something else than "true" or "false" where that is wanted.
        """
        hyper = self.hyperparameters or (self.method.supervised.hyperparameters if self.method else Hyperparameters())
        passes = None if hyper.n_epochs == "auto" else hyper.n_epochs
        faster = 1.0 if hyper.learning_rate_multiplier == "auto" else hyper.learning_rate_multiplier
        given = self.metadata or {}
        for name in SWITCHES:
            if given.get(name, "true") not in ("true", "false"):
                raise Refused(400, f'metadata.{name} is {given[name]!r}; "true" or "false" is wanted.', "metadata")
        switched = {name: given[name] == "true" for name in SWITCHES if name in given}
        return Wish(given.get("start", AUTO), passes=passes, faster=faster, seed=self.seed, metadata=given, **switched)
