"""Rotary position embedding (Su et al. 2021) as Llama's code writes it, in PyTorch: what the kernel must give."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate_reference(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """See `rotate`; operator by operator, in the order in which transformers' models take them."""
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    return query * cos + _half_turn(query) * sin, key * cos + _half_turn(key) * sin


def _half_turn(x: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)
