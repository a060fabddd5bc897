"""Loads a checkpoint: transformers' own `from_pretrained`, no remote code, and errors that say what to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .hardware import best_dtype
from .packing import pack_linears, packable
from .readout import IdentifierReadout, PointerReadout, Readout
from .settings import ModelSettings
from .support import check_supported

DEFAULT_MODEL = Path(__file__).parent.parent / "assets" / "default"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A checkpoint in memory. `context`: positions it was made for; None when its config does not say."""

    lm: Any
    tokenizer: Any
    readout: Readout
    settings: ModelSettings
    context: int | None
    name: str


def load_model(name: str | Path | None, device: torch.device, dtype: torch.dtype | None) -> LoadedModel:
    """Loads a checkpoint folder, a hub name, or (None) the bundled model. `dtype` None chooses by device.

    Raises FileNotFoundError when there is no such folder and the hub cannot be reached or does not have it,
    UnsupportedModelError for architectures the engine cannot run exactly, ValueError for broken settings.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    source = str(DEFAULT_MODEL if name is None else name)
    if Path(source).is_dir() and not (Path(source) / "config.json").is_file():
        raise FileNotFoundError(_where(source))
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        check_supported(config)
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        lm = AutoModelForCausalLM.from_pretrained(
            source,
            config=config,
            dtype=best_dtype(device) if dtype is None else dtype,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except OSError as error:
        raise FileNotFoundError(_where(source)) from error
    settings = ModelSettings.read(getattr(config, "rranker", None))
    lm = lm.to(device).eval().requires_grad_(False)
    if packable(lm):
        pack_linears(lm)
    pointer = settings.readout == "pointer"
    readout: Readout = PointerReadout.load(_folder(source), device) if pointer else IdentifierReadout(lm)
    context = getattr(config, "max_position_embeddings", None)
    return LoadedModel(lm, tokenizer, readout, settings, context, "default" if name is None else source)


def _folder(source: str) -> Path:
    """The folder a checkpoint's extra files are in: its own, or the hub cache's snapshot of it."""
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(source, allow_patterns=["*.safetensors"]))


def _where(source: str) -> str:
    if Path(source).is_dir():
        return (
            f"{source} is a folder, but not a complete checkpoint: it needs config.json, the tokenizer's files and "
            "*.safetensors weights, as `save_pretrained` writes them (pickled weights are not read)"
        )
    if Path(source).exists():
        return f"{source} is a file: give the checkpoint folder that holds it"
    return (
        f"no model {source!r}: there is no such folder here, and it could not be loaded from the Hugging Face hub. "
        "Give a checkpoint folder; or check the name and the network; or, offline, download it first "
        f"(`hf download {source}`) and try again; or leave `model` out to use the bundled one"
    )
