"""Puts the engine's attention in the place of a transformers model's own."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..errors import UnsupportedModelError
from .limits import Windows
from .protocol import StepAttention

NAME = "rranker"
_registered = False


class ForwardPass:
    """What one forward pass carries to its layers: the prepared step, and the window of each layer."""

    def __init__(self, step: StepAttention, windows: Windows) -> None:
        self._step, self._windows = step, windows
        self.served = set[int]()
        """The layers that have attended."""
        self.ahead: tuple[Tensor, Tensor] | None = None
        """A layer's result and what the next layer's first norm makes of it, when both came of one kernel."""

    def __call__(
        self,
        layer: int | None,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        scaling: float,
        handed: int | None,
    ) -> Tensor:
        """`layer` None is the next one: some models' attention does not know its number.

        `handed` is the window that the model itself gave: masks decide, so it may be missing, not unannounced.
        Raises UnsupportedModelError for that, and for a layer that attends twice.
        """
        layer = len(self.served) if layer is None else layer
        if layer in self.served:
            raise UnsupportedModelError(
                f"this model applies layer {layer} more than once a pass, and the engine stores one set of keys a layer"
            )
        self.served.add(layer)
        window = self._windows[layer]
        if handed is not None and window is None:
            raise UnsupportedModelError(
                f"layer {layer} is handed a sliding window of {handed} that the model's own masks do not show, so the "
                "engine cannot tell what it sees"
            )
        return self._step(layer, query, key, value, scaling=scaling, window=window)


def attend(  # noqa: PLR0913 (transformers' signature)
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    rranker_step: ForwardPass | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """transformers' attention function: hands a layer's queries, keys and values to the pass.

    The pass travels as a keyword of the model call. No mask function is registered under this name, so no T×T mask
    is ever built; an `attention_mask` is one that the model makes by other means.
    """
    if rranker_step is None:
        raise UnsupportedModelError(
            "this architecture does not pass keywords of the model call on to its attention layers, so the engine "
            "cannot drive it"
        )
    if attention_mask is not None:
        raise UnsupportedModelError(
            "this model adds a mask or bias of its own to its attention scores, which the engine does not reproduce"
        )
    if softcap is not None or s_aux is not None:
        what = "soft-capped attention logits" if softcap is not None else "attention sinks"
        raise UnsupportedModelError(f"this model uses {what}, which the engine does not reproduce")
    if not query.dtype == key.dtype == value.dtype:
        # Under autocast: rotation in float32 has widened the others, which attention and its store take as projected.
        query, key = query.to(value.dtype), key.to(value.dtype)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer: int | None = getattr(module, "layer_idx", None)
    return rranker_step(layer, query, key, value, scaling=scale, handed=sliding_window), None


def use_engine_attention(model: Any) -> None:
    """Switches `model` (a transformers PreTrainedModel) to the engine's attention."""
    global _registered
    if not _registered:
        from transformers import AttentionInterface

        AttentionInterface.register(NAME, attend)
        _registered = True
    model.set_attn_implementation(NAME)
