"""A checkpoint ready to rank: read, put on its device, its weights packed where that helps, and its readout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..hardware import best_dtype, warn_if_emulated
from ..onednn import pack_linears, packable
from ..readout import IdentifierReadout, Readout
from .checkpoint import read_checkpoint
from .pointer_head import load_pointer
from .settings import ModelSettings

DEFAULT_MODEL = Path(__file__).parents[2] / "assets" / "default"


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

    A `dtype` that this hardware has to emulate is taken, with a warning in the log. Raises what `read_checkpoint`
    and `load_head` raise.
    """
    wanted = best_dtype(device) if dtype is None else dtype
    warn_if_emulated(device, wanted, "dtype")
    checkpoint = read_checkpoint(DEFAULT_MODEL if name is None else name, wanted)
    lm = checkpoint.lm.to(device).eval().requires_grad_(False)
    if packable(lm):
        pack_linears(lm)
    readout: Readout
    if checkpoint.settings.readout == "pointer":
        readout = load_pointer(checkpoint.folder, lm.config.hidden_size, device)
    else:
        readout = IdentifierReadout(lm)
    context = getattr(checkpoint.config, "max_position_embeddings", None)
    return LoadedModel(
        lm,
        checkpoint.tokenizer,
        readout,
        checkpoint.settings,
        context,
        "default" if name is None else str(name),
    )
