"""Bases: by Hugging Face id, folder, `.gguf` file, or the embedded default."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig, PreTrainedModel

from headstart import repository
from headstart.config import home
from headstart.disk import sha256
from headstart.errors import BaseRefused
from headstart.lm import attention, gguf, hub, quantised
from headstart.lm.chat import Chat
from headstart.lm.foreign import why
from headstart.lm.suited import refuse_unsuited
from headstart.terms import EMBEDDED, INSTALL
from headstart.whole import TOKENIZERS

_DEFAULT = (EMBEDDED.lower(), "smollm2-135m-instruct")
"""How the default base may be called, as `headstart plan` knows it too."""

Tell = Callable[[str], None]
"""Told what is being waited for."""


@final
@dataclass(frozen=True)
class Base:
    """A frozen base model, ready to be bent."""

    name: str
    """what an adapter's `base_model_name_or_path` says: an id or a path"""
    model: PreTrainedModel
    chat: Chat
    content_hash: str
    """SHA-256 over the weight files that it was read from"""

    @property
    def precision(self) -> str:
        """What its weights are kept in; see `quantised.PRECISIONS`."""
        return quantised.precision_of(self.model)

    @property
    def layers(self) -> int:
        """How many it has."""
        return int(self.model.config.get_text_config().num_hidden_layers)

    @property
    def bytes(self) -> int:
        """What its weights take."""
        return sum(weight.nbytes for weight in self.model.parameters())


def load(
    base: str | None = None,
    dtype: torch.dtype | None = None,
    tell: Tell = lambda _: None,
    device: torch.device | None = None,
    bits: int | None = None,
    asked: bool = True,
) -> Base:
    """Load a base model and its tokenizer; transformers shows a bar meanwhile, unless `hush` was called.

    Args:
        base: a Hugging Face id, a folder, a `.gguf` file; None: the embedded default.
        dtype: None: the fastest that this machine computes in natively.
        tell: called before anything slow.
        device: where it is to compute; None: on a GPU if there is one.
        bits: keep the linears' weights in 4 or 8 bits; None: in `dtype`.
        asked: whether it is to answer; what only reads texts, for their features, may be of any kind.

    Raises:
        BaseRefused: not found, without a tokenizer, truncated, pickled, with code of its own, out of reach, or of a kind that cannot be
            asked; see `suited`.
        SettingsError: few bits are asked for, and what packs them is not installed.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or native_dtype(device.type)
    packing = {"quantization_config": quantised.config_of(bits, dtype)} if bits else {}
    name, folder, content = _locate(base, tell)
    _check_folder(folder)
    tell("loading the base")
    try:
        quantised.refuse_others(PreTrainedConfig.get_config_dict(folder)[0], name)
        model, found = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, device_map={"": device}, use_safetensors=True, output_loading_info=True, trust_remote_code=False, **packing
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except SafetensorError as error:
        raise BaseRefused(f"A weight file of the base '{name}' is broken ({error}): it may be truncated; fetch it again.") from error
    except ImportError as error:
        raise BaseRefused(f"The base '{name}' needs a package that is not here, or is broken: {why(error)}") from error
    except (OSError, ValueError, KeyError, RuntimeError, RecursionError) as error:
        raise BaseRefused(f"The base '{name}' could not be loaded: {why(error)}") from error
    if missing := sorted(found["missing_keys"]):
        # transformers draws them at random and goes on.
        raise BaseRefused(f"The weights of the base '{name}' lack {', '.join(missing[:3])} ({len(missing)} in all): fetch it again.")
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 2048
    model = attention.settle(quantised.settle(model))
    if asked:
        refuse_unsuited(model, name)
    return Base(name, model, Chat(tokenizer, context, _ends(model)), content)


def _ends(model: PreTrainedModel) -> list[int]:
    """Tokens that the model's own settings end an answer by; an instruction-tuned one's name more than its tokenizer does."""
    named = getattr(model.generation_config, "eos_token_id", None)
    return list(named) if isinstance(named, (list, tuple)) else [] if named is None else [int(named)]


def hush() -> None:
    """Turn transformers' own progress bars and warnings off, and the hub's; errors still show."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    repository.hush()


def native_dtype(device: str) -> torch.dtype:
    """The fastest float format that a device multiplies natively.

    A CPU without bf16 instructions emulates them five times slower than fp32, so there it is fp32.
    """
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    known = torch.cpu.get_capabilities()
    return torch.bfloat16 if any(known.get(k) for k in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")) else torch.float32


def at_hand(base: str) -> bool:
    """Whether a base that is not the default is on this machine, by its path or whole in the hub's cache."""
    if base.lower() in _DEFAULT:
        return False
    path = Path(base)
    return path.exists() if path.is_absolute() else hub.whole(base)


def _locate(base: str | None, tell: Tell) -> tuple[str, Path, str]:
    """(name, folder of safetensors and tokenizer, content hash) of a base."""
    index = home() / "hashes.json"
    if base is None or base.lower() in _DEFAULT:
        file = gguf.embedded_file()
        if file is not None:
            return EMBEDDED, gguf.unpacked(file, sha256(file, index), tell), sha256(file, index)
        return _from_hub(EMBEDDED, index, tell, f" The package that carries it is not installed: {INSTALL}.")
    path = Path(base).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return str(path.resolve()), gguf.unpacked(path, sha256(path, index), tell), sha256(path, index)
    if path.is_dir():
        return str(path.resolve()), path, folder_hash(path, index)
    if path.is_file():
        raise BaseRefused(f"'{base}' is a file, not a base: give a folder with a model in it, a .gguf file or a Hugging Face id.")
    if path.suffix == ".gguf" or path.is_absolute() or base.startswith(("./", "../", "~")):
        raise BaseRefused(f"There is no base at '{base}': give a folder with a model in it, a .gguf file or a Hugging Face id.")
    return _from_hub(base, index, tell)


def _from_hub(name: str, index: Path, tell: Tell, mend: str = "") -> tuple[str, Path, str]:
    """See `_locate`; what may mend it, where it cannot be fetched."""
    try:
        folder = hub.fetched(name, known=[EMBEDDED], tell=tell)
    except BaseRefused as refused:
        raise BaseRefused(f"{refused}{mend}") from refused
    return name, folder, folder_hash(folder, index)


def folder_hash(folder: Path, index: Path | None = None) -> str:
    """One SHA-256 over the names and contents of a folder's weight files."""
    whole = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        whole.update(f"{file.name} {sha256(file, index)}\n".encode())
    return whole.hexdigest()


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise BaseRefused(f"The folder '{folder}' has no config.json, so it holds no model that can be loaded.")
    if not any(folder.glob("*.safetensors")):
        pickled = [p.name for p in [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")]]
        found = f"only {', '.join(pickled)}, which would have to be unpickled and could run code" if pickled else "none"
        raise BaseRefused(
            f"The folder '{folder}' has no .safetensors weights ({found}): convert them with transformers' save_pretrained first."
        )
    if not any((folder / file).is_file() for file in TOKENIZERS):
        raise BaseRefused(
            f"The folder '{folder}' has a model but no tokenizer: "
            "copy the base's tokenizer files (tokenizer.json, tokenizer_config.json) into it."
        )
