"""What clients send: OpenAI's shapes, checked by their types. What would change an answer and is not known here is refused by name."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from headstart.lm.generate import Sampling
from headstart.serve.limits import Limits, Refused
from headstart.serve.request import Ask, Message

IGNORED = {"user", "metadata", "store", "service_tier", "parallel_tool_calls", "safety_identifier", "prompt_cache_key", "reasoning_effort"}
"""Fields that say nothing of what is answered."""
Zero = Annotated[float, Field(ge=0, le=0)]
Stop = Annotated[str, StringConstraints(min_length=1, max_length=256)]
M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """No unknown field, and no type but the one that is named."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@final
class Part(Strict):
    """A piece of a message."""

    type: Literal["text"]
    text: str


@final
class Turn(Strict):
    """A message; without the name of who of several speaks: no template of a base says that, and left out it would make them one."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]

    @property
    def message(self) -> Message:
        """As the templates of local models know it."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return "system" if self.role == "developer" else self.role, text


@final
class StreamOptions(Strict):
    """What a stream tells besides."""

    include_usage: bool = False
    include_obfuscation: bool = False


@final
class ResponseFormat(Strict):
    """Text alone can be had."""

    type: Literal["text"]


class _Sampled(Strict):
    model: str
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    presence_penalty: Zero | None = None
    frequency_penalty: Zero | None = None

    def _sampling(self, index: int, limits: Limits, most: int | None, named: str = "max_tokens") -> Sampling:
        """Of answer number `index`; without a seed, by chance. Its `most` tokens were asked for under a name."""
        wanted = limits.tokens if most is None else most
        if wanted > limits.tokens:
            raise Refused(400, f"{named} is {wanted}; {limits.tokens} at most are given.", named)
        seed = secrets.randbits(62) if self.seed is None else self.seed + index
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        temperature = 1.0 if self.temperature is None else self.temperature
        return Sampling(wanted, temperature, 1.0 if self.top_p is None else self.top_p, seed % 2**62, stop)


@final
class ChatRequest(_Sampled):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[Turn], Field(min_length=1, max_length=4096)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None

    def asks(self, adapter: str | None, limits: Limits) -> list[Ask]:
        """A row for each of n answers."""
        if self.messages[-1].role == "assistant":
            raise Refused(400, "The last message is the assistant's; one that it can answer is wanted.", "messages")
        if self.top_logprobs and not self.logprobs:
            raise Refused(400, "top_logprobs is given and logprobs is not true.", "top_logprobs")
        prompt = tuple(turn.message for turn in self.messages)
        named = "max_tokens" if self.max_completion_tokens is None else "max_completion_tokens"
        logprobs, rows = max(1, self.top_logprobs or 0) if self.logprobs else 0, _bounded(self.n or 1, limits, "n")
        return [Ask(adapter, prompt, self._sampling(i, limits, getattr(self, named), named), logprobs) for i in range(rows)]


@final
class CompletionRequest(_Sampled):
    """`POST /v1/completions`: text as it is, behind no template and no kept example."""

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=128)]
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    echo: Literal[False] | None = None
    best_of: Annotated[int, Field(ge=1, le=1)] | None = None

    def asks(self, adapter: str | None, limits: Limits) -> list[Ask]:
        """A row for each of n answers to each prompt."""
        prompts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        _bounded(len(prompts) * (self.n or 1), limits, "prompt" if len(prompts) > limits.rows else "n")
        most, logprobs = self.max_tokens or 16, 0 if self.logprobs is None else max(1, self.logprobs)
        rows = [prompt for prompt in prompts for _ in range(self.n or 1)]
        return [Ask(adapter, prompt, self._sampling(i, limits, most), logprobs) for i, prompt in enumerate(rows)]


@final
class AdapterRequest(Strict):
    """vLLM's two routes of adapters; a path has to be the adapter's own on the shelf."""

    lora_name: str
    lora_path: str | None = None
    load_inplace: bool = False


def read(shape: type[M], body: Mapping[str, Any]) -> M:
    """A body as one of the shapes.

    Raises:
        Refused: naming every field that is wrong.
    """
    ignored = IGNORED - shape.model_fields.keys()
    try:
        return shape.model_validate({key: value for key, value in body.items() if key not in ignored})
    except ValidationError as error:
        wrong = [
            (".".join(str(at) for at in it["loc"]), "not known here" if it["type"] == "extra_forbidden" else it["msg"])
            for it in error.errors(include_url=False, include_input=False)
        ]
        told = "; ".join(f"{name or 'body'}: {why}" for name, why in wrong[:5])
        raise Refused(400, f"{told}.", wrong[0][0].split(".")[0]) from None


def _bounded(rows: int, limits: Limits, named: str) -> int:
    if rows > limits.rows:
        raise Refused(400, f"{rows} answers are asked for; {limits.rows} at most are given to one request.", named)
    return rows
