"""A model that is in memory already, with its tokenizer: ranked with as it is, and left as it was."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import UnsupportedModelError
from .arguments import as_device, as_dtype, as_source
from .compatibility import check_class, check_supported, is_multimodal
from .quantised import check_plain
from .settings import ModelSettings
from .tokenizer import check_vocabulary

_SETTINGS_OF = Path("the model's config")


@dataclass(frozen=True, slots=True)
class ModelAndTokenizer:
    """A transformers causal language model and its tokenizer, both loaded; weights on one device, of one type."""

    lm: Any
    tokenizer: Any

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return torch.device(self.lm.device)

    def shared(self) -> Any:
        """Modules and config of its own around the same weights, for inference: the original stays as it is."""
        tensors = [*self.lm.parameters(), *self.lm.buffers()]
        return copy.deepcopy(self.lm, {id(tensor): tensor for tensor in tensors}).eval()

    def settings(self) -> ModelSettings:
        """How it was trained to rank. Raises UnsupportedModelError when that needs a file beside its weights."""
        settings = ModelSettings.read(getattr(self.lm.config, "rranker", None), _SETTINGS_OF)
        if settings.readout == "pointer":
            raise UnsupportedModelError(
                f"this {type(self.lm).__name__} ranks through a pointer head, which lies in a file beside its weights: "
                "give the checkpoint folder in place of the loaded model"
            )
        return settings


Source = str | Path | ModelAndTokenizer | None


def as_model(
    model: object, tokenizer: object, device: object, dtype: object
) -> tuple[Source, torch.device, torch.dtype | None]:
    """What to load or use, where, and in which type (None: chosen by device).

    Raises what `as_source`, `as_device` and `as_dtype` raise; of a loaded model TypeError or UnsupportedModelError for
    one that is no causal language model, ValueError for one that is not on one device, or where `device` or `dtype`
    contradicts it.
    """
    if not hasattr(model, "state_dict"):
        if tokenizer is not None:
            raise TypeError(
                "tokenizer goes with a loaded model (`Ranker(model, tokenizer=tokenizer)`): a checkpoint brings its own"
            )
        return as_source(model), as_device(device), as_dtype(dtype)
    given = _checked(model, tokenizer)
    on, held = given.device, given.lm.dtype
    if device is not None:
        wanted = as_device(device)
        if (wanted.type, wanted.index or 0) != (on.type, on.index or 0):
            raise ValueError(
                f"the model is on {on}: leave `device` out, or move it first (`model.to({str(wanted)!r})`)"
            )
    if dtype is not None and as_dtype(dtype) != held:
        raise ValueError(
            f"the model's weights are {held}: leave `dtype` out, or convert it first (`model.to(…)`)"
        )
    as_dtype(held)
    return given, on, held


def _checked(model: Any, tokenizer: Any) -> ModelAndTokenizer:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    name = type(model).__name__
    if not isinstance(model, PreTrainedModel):
        inner = (
            "`merge_and_unload()` it"
            if hasattr(model, "merge_and_unload")
            else "unwrap it (`.module`, `._orig_mod`)"
        )
        raise TypeError(
            f"model must be a transformers model, not a {name}: {inner} first, or give a checkpoint folder"
        )
    check_class(model)
    if is_multimodal(model.config):
        raise UnsupportedModelError(
            f"{name} is a language model among other parts: give its checkpoint folder, of which the text model is used"
        )
    check_supported(model.config)
    check_plain(model)
    devices = {str(tensor.device) for tensor in [*model.parameters(), *model.buffers()]}
    if len(devices) > 1 or "meta" in devices or any(hasattr(part, "_hf_hook") for part in model.modules()):
        raise ValueError(
            f"this {name} is spread over devices ({', '.join(sorted(devices))}) by `device_map`, and the engine runs a "
            "whole model on one: load it without device_map and move it (`model.to('cuda')`)"
        )
    if (made := _made_of_others(model)) is not None:
        raise UnsupportedModelError(
            f"{made} of this {name} is made of other tensors in each pass (by pruning or weight norm), and cannot be "
            "shared: make it permanent first (`torch.nn.utils.prune.remove`, `torch.nn.utils.remove_weight_norm`)"
        )
    if tokenizer is None:
        raise TypeError("a loaded model needs its tokenizer: Ranker(model, tokenizer=tokenizer)")
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        inner = ": give its `.tokenizer`" if hasattr(tokenizer, "tokenizer") else ""
        raise TypeError(
            f"tokenizer must be a transformers tokenizer, not a {type(tokenizer).__name__}{inner}"
        )
    check_vocabulary(f"this {name}", model.config, tokenizer)
    return ModelAndTokenizer(model, tokenizer)


def _made_of_others(model: torch.nn.Module) -> str | None:
    """A tensor that is no weight and no buffer, but computed of some, with gradients: nothing copies it."""
    held = (
        (f"{name}.{key}", value) for name, part in model.named_modules() for key, value in vars(part).items()
    )
    return next((name for name, x in held if isinstance(x, torch.Tensor) and not x.is_leaf), None)
