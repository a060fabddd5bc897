"""Which layers of a model see only a window, found by asking the model itself for the masks it makes.

Some models hand each layer's window to the attention function, some hand it to a few layers, and some (Qwen2-MoE,
Phi-MoE) only ever write it into masks, which the engine does not use. Masks are what eager attention obeys, so they
are looked at: once, over a few tokens, with the config's limit set so low that a few tokens exceed it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..encoders import is_encoder
from ..errors import UnsupportedModelError

Windows = tuple[int | None, ...]
"""The window of each layer; None where it sees everything before it."""

_KEYS = ("sliding_window", "attention_chunk_size")
"""Under which a config announces a limit; transformers makes masks from these two alone."""
SHORT, _TOKENS = 3, 8
_NAME = "rranker-masks"


def layer_windows(lm: Any) -> Windows:
    """The window of each layer of `lm` (a transformers causal language model), which runs on 8 tokens if it has any.

    Leaves the model with an attention function of this module. Raises UnsupportedModelError for layers whose mask is
    neither the usual one (causal, or an encoder's: all) nor a window of it (chunked attention).
    """
    layers = int(lm.config.num_hidden_layers)
    announced = _limits(lm.base_model.config)
    if not announced:
        return (None,) * layers
    with limited(lm, SHORT):
        masks = _masks(lm)
    usual = torch.ones(_TOKENS, _TOKENS, dtype=torch.bool, device="cpu")
    if not is_encoder(lm.config):
        usual = usual.tril()
    return tuple(_window(lm, layer, masks.get(layer), announced, usual) for layer in range(layers))


@contextmanager
def limited(lm: Any, tokens: int) -> Iterator[None]:
    """While it lasts, `lm` makes its masks for a window (or chunk) of so many tokens, where it has one."""
    config = lm.base_model.config
    before = _limits(config)
    try:
        for key in before:
            setattr(config, key, tokens)
        yield
    finally:
        for key, limit in before.items():
            setattr(config, key, limit)


def _limits(config: Any) -> dict[str, int]:
    announced = {key: getattr(config, key, None) for key in _KEYS}
    return {key: int(limit) for key, limit in announced.items() if limit is not None and limit > 0}


def _masks(lm: Any) -> dict[int, Tensor]:
    """By layer, the mask [T, T] that eager attention would add to its scores."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(_NAME, _look)
    AttentionMaskInterface.register(_NAME, AttentionMaskInterface()["eager"])
    lm.set_attn_implementation(_NAME)
    masks: dict[int, Tensor] = {}
    with torch.inference_mode():
        ids = torch.arange(_TOKENS, device=lm.device)[None] % lm.config.vocab_size
        lm.base_model(input_ids=ids, use_cache=False, rranker_masks=masks)
    return masks


def _look(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    rranker_masks: dict[int, Tensor] | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """transformers' attention function, without the attention: keeps the mask, and returns the rows' own values."""
    if rranker_masks is not None and attention_mask is not None:
        layer: int = module.layer_idx  # type: ignore[assignment]
        rranker_masks[layer] = attention_mask[0, 0]
    return value.repeat_interleave(query.shape[1] // value.shape[1], dim=1).transpose(1, 2).contiguous(), None


def _window(lm: Any, layer: int, mask: Tensor | None, announced: dict[str, int], usual: Tensor) -> int | None:
    names = " and ".join(f"{key}={limit}" for key, limit in announced.items())
    if mask is None:
        if usual.all():
            return None  # all is seen, which an encoder needs no mask for
        raise UnsupportedModelError(
            f"{type(lm).__name__} announces {names}, and layer {layer} hands its attention no mask to see it by"
        )
    visible = (mask == 0).cpu()
    if torch.equal(visible, usual):
        return None
    window = int(visible[:, 0].sum())  # rows that see the first token
    places = torch.arange(_TOKENS, device="cpu")
    limit = announced.get("sliding_window")
    if limit is None or not torch.equal(visible, usual & ((places[:, None] - places).abs() < window)):
        kind = _kind(lm.base_model.config, layer)
        raise UnsupportedModelError(
            f"layer {layer} of {type(lm).__name__} ({kind}{names}) sees neither all tokens before it nor the last "
            "few: the engine reproduces sliding windows, not chunked attention"
        )
    return limit + window - SHORT  # some models count a window's ends otherwise


def _kind(config: Any, layer: int) -> str:
    kinds: Sequence[str] | None = getattr(config, "layer_types", None)
    return f"{kinds[layer]}, " if kinds else ""
