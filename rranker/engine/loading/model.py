"""A checkpoint ready to rank: read, put on its device, its weights packed where that helps, and its readout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rranker.item_factors import ItemFactors

from ..hardware import best_dtype, warn_if_emulated
from ..onednn import pack_linears, packable
from ..readout import IdentifierReadout, Readout
from .checkpoint import read_checkpoint
from .objects import ModelAndTokenizer, Source
from .pointer_head import load_pointer
from .settings import ModelSettings

DEFAULT_MODEL = Path(__file__).parents[2] / "assets" / "default"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A checkpoint in memory. `context`: positions it was made for; None when its config does not say.

    `item_factors`: what it knows of items by name, where it does.
    """

    lm: Any
    tokenizer: Any
    readout: Readout
    settings: ModelSettings
    context: int | None
    name: str
    item_factors: ItemFactors | None = None


def load_model(name: Source, device: torch.device, dtype: torch.dtype | None) -> LoadedModel:
    """Loads what `read_checkpoint` reads, or (None) the bundled model; a loaded one is used as it is, where it is.

    `dtype` None chooses by device; one that this hardware has to emulate is taken, with a warning in the log. Raises
    what `read_checkpoint` and `load_head` raise.
    """
    if isinstance(name, ModelAndTokenizer):
        return _use(name)
    wanted = best_dtype(device) if dtype is None else dtype
    warn_if_emulated(device, wanted, "dtype")
    checkpoint = read_checkpoint(DEFAULT_MODEL if name is None else name, wanted)
    lm = checkpoint.lm.to(device).eval().requires_grad_(False)
    if packable(lm):
        pack_linears(lm)
    readout: Readout
    if checkpoint.settings.readout == "pointer":
        readout = load_pointer(checkpoint.folder, lm.config.hidden_size, device, checkpoint.settings.pooling)
    else:
        readout = IdentifierReadout(lm)
    return LoadedModel(
        lm,
        checkpoint.tokenizer,
        readout,
        checkpoint.settings,
        checkpoint.context,
        "default" if name is None else str(name),
        checkpoint.item_factors,
    )


def _use(given: ModelAndTokenizer) -> LoadedModel:
    lm = given.shared()
    settings, context = given.settings(), _context(lm.config)
    return LoadedModel(lm, given.tokenizer, IdentifierReadout(lm), settings, context, type(lm).__name__)


def _context(config: Any) -> int | None:
    return getattr(config, "max_position_embeddings", None)
