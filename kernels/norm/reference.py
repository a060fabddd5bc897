"""RMSNorm (Zhang and Sennrich 2019) as models write it, in PyTorch: what the kernels must give."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class NormKind(NamedTuple):
    """Where models differ. All of them normalise in fp32.

    offset: the weight counts from 1, as Gemma's. rounded: what is normalised is rounded to its dtype before it meets
    the weight, as Llama's; else the product is, as Gemma's and OLMo's.
    """

    offset: bool
    rounded: bool


def norm_reference(x: Tensor, weight: Tensor, eps: float, kind: NormKind) -> Tensor:
    """See `norm`; in fp32 at least, operator by operator, in the order in which transformers' models take them."""
    wide = torch.promote_types(x.dtype, torch.float32)
    normed = x.to(wide)
    normed = normed * torch.rsqrt(normed.pow(2).mean(-1, keepdim=True) + eps)
    if kind.rounded:
        return (1.0 + weight if kind.offset else weight) * normed.to(x.dtype)
    scale = weight.to(wide)
    return (normed * (1.0 + scale if kind.offset else scale)).to(x.dtype)


def add_norm_reference(
    x: Tensor, residual: Tensor, weight: Tensor, eps: float, kind: NormKind
) -> tuple[Tensor, Tensor]:
    """See `add_norm`."""
    summed = residual + x
    return norm_reference(summed, weight, eps, kind), summed
