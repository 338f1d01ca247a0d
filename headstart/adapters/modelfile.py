"""An Ollama Modelfile: base, adapter, the chat template that was trained with, and the examples that an adapter keeps."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.episode import Example
from headstart.errors import AdapterRefused
from headstart.lm.chat import under_one
from headstart.lm.pieces import Pieces


def modelfile(base: str, adapter: str, pieces: Pieces, stops: Sequence[str], before: Sequence[Example], system: str = "") -> str:
    """The whole file.

    Args:
        base: of the base's GGUF, as Ollama finds it.
        adapter: of the adapter's.
        pieces: of the chat template.
        stops: texts that end an answer.
        before: examples that stand in front of every prompt.
        system: what the adapter is told where nobody else tells it anything; empty: what the template says there.

    Raises:
        AdapterRefused: a text that the file's quotes cannot hold.
    """
    # As they were taught.
    laid = [message for example in under_one(before) for message in example.messages]
    said = system or next((text for role, text in laid if role == "system"), pieces.system)
    lines = [f"FROM {base}", f"ADAPTER {adapter}", f"TEMPLATE {_quoted(template(pieces))}"]
    lines += [f"SYSTEM {_quoted(said)}"] if said else []
    lines += [f"PARAMETER stop {_quoted(stop)}" for stop in stops if stop]
    # The likeliest answer, as the report's scores were made.
    lines += ["PARAMETER temperature 0"]
    lines += [f"MESSAGE {role} {_quoted(text)}" for role, text in laid if role != "system"]
    return "\n".join(lines) + "\n"


def template(pieces: Pieces) -> str:
    """The chat template in Go's language."""
    turns: list[str] = []
    for role, (ahead, behind) in pieces.around.items():
        turns.append(f'{{{{ {"else if" if turns else "if"} eq .Role "{role}" }}}}{_plain(ahead)}{{{{ .Content }}}}{_plain(behind)}')
    return "{{ range .Messages }}" + "".join(turns) + "{{ end }}{{ end }}" + _plain(pieces.ask)


def _plain(text: str) -> str:
    return text.replace("{{", '{{ "{{" }}')


def _quoted(text: str) -> str:
    if '"""' in text:
        raise AdapterRefused(f"A Modelfile cannot hold three quotes in a row, and there are in: {text[:40]!r}.")
    return f'"""{text}"""'
