"""How much a KV cache and a step may take where the caller does not say, by device and model."""

from __future__ import annotations

from typing import Any

import torch

_SHARE = 0.6
"""Of a GPU's memory that is free once the weights are there; the rest is for activations and for others."""
_GPU_TOKENS, _CPU_TOKENS = 1 << 20, 1 << 16
"""At most: what many queries at once can use. A CPU's memory is everybody's, so there `_CPU_BYTES` bound it, too."""
_CPU_BYTES = 4 << 30
GPU_BATCH_TOKENS = 32768
"""Rows of a pass: enough to fill a GPU many times over."""
_CPU_LEAST_ROWS = 256
_CPU_ACTIVATION = 16 << 20
"""Bytes of the widest of a layer's activations. The C library gives blocks of more than 32 MB back to the system when
they are freed, and to fault their pages in again, layer by layer, takes time."""


def token_bytes(lm: Any) -> int:
    """Bytes that the keys and values of one token take, over all layers of a transformers model."""
    config = lm.config
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    return int(2 * config.num_hidden_layers * kv_heads * size * lm.dtype.itemsize)


def default_kv_tokens(lm: Any) -> int:
    """Slots of the KV cache for a model that is on its device: on a GPU 60 % of what is free there, at most 2^20.

    On a CPU 65,536, or fewer where those took more than 4 GiB. Raises MemoryError where no token fits.
    """
    each = token_bytes(lm)
    if lm.device.type != "cuda":
        return max(1, min(_CPU_TOKENS, _CPU_BYTES // each))
    free, _ = torch.cuda.mem_get_info(lm.device)
    tokens = min(_GPU_TOKENS, int(_SHARE * free) // each)
    if tokens < 1:
        raise MemoryError(
            f"the model leaves {free} bytes of {lm.device} free, and keys and values of a token take {each}: free "
            "memory there, or use a smaller model"
        )
    return tokens


def default_batch_tokens(lm: Any) -> int:
    """Rows of one pass of a model that is on its device: on a CPU as many as make `_CPU_ACTIVATION`."""
    if lm.device.type == "cuda":
        return GPU_BATCH_TOKENS
    widths = (int(getattr(module, "out_features", 1)) for module in lm.base_model.modules())
    return max(_CPU_LEAST_ROWS, _CPU_ACTIVATION // (max(widths) * int(lm.dtype.itemsize)))
