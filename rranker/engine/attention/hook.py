"""Puts the engine's attention in the place of a transformers model's own."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..errors import UnsupportedModelError
from .protocol import StepAttention

NAME = "rranker"
_registered = False


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    rranker_step: StepAttention | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """transformers' attention function: hands a layer's queries, keys and values to the prepared step.

    The step travels as a keyword of the model call. No mask function is registered under this name, so
    `attention_mask` stays None and no T×T mask is ever built.
    """
    if rranker_step is None:
        raise UnsupportedModelError(
            "this architecture does not pass keywords of the model call on to its attention layers, so the engine "
            "cannot drive it"
        )
    if softcap is not None or s_aux is not None:
        what = "soft-capped attention logits" if softcap is not None else "attention sinks"
        raise UnsupportedModelError(f"this model uses {what}, which the engine does not reproduce")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer: int = module.layer_idx  # type: ignore[assignment]
    return rranker_step(layer, query, key, value, scaling=scale, window=sliding_window), None


def use_engine_attention(model: Any) -> None:
    """Switches `model` (a transformers PreTrainedModel) to the engine's attention."""
    global _registered
    if not _registered:
        from transformers import AttentionInterface

        AttentionInterface.register(NAME, attend)
        _registered = True
    model.set_attn_implementation(NAME)
