"""RMSNorm in one launch where PyTorch takes eight, and in the same one the residual addition before it.

One program takes whole rows, each alone: a row's bits do not depend on the rows beside it. For inference only.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..guard import adjacent_columns, on_device
from ..launch import pick_norm
from .reference import NormKind


@triton.jit
def normed(
    x, weight, eps,
    WIDTH: tl.constexpr, OFFSET: tl.constexpr, ROUNDED: tl.constexpr, BLOCK_W: tl.constexpr,
):  # fmt: skip
    """Rows x [R, BLOCK_W], zeros beyond WIDTH, normalised in fp32 and times the weight, in x's dtype."""
    columns = tl.arange(0, BLOCK_W)
    wide = x.to(tl.float32)
    y = wide * tl.rsqrt(tl.sum(wide * wide, 1) / WIDTH + eps)[:, None]
    if ROUNDED:
        y = y.to(x.dtype).to(tl.float32)
    w = tl.load(weight + columns, mask=columns < WIDTH, other=0.0).to(tl.float32)
    if OFFSET:
        w += 1.0
    return (y * w[None, :]).to(x.dtype)


@triton.jit(do_not_specialize=["rows"])
def norm_kernel(
    x, weight, out, x_row, out_row, rows, eps,
    WIDTH: tl.constexpr, OFFSET: tl.constexpr, ROUNDED: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_W: tl.constexpr,
):  # fmt: skip
    """Grid: (blocks of BLOCK_R rows,)."""
    row = (tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)).to(tl.int64)
    columns = tl.arange(0, BLOCK_W)
    inside = (row < rows)[:, None] & (columns < WIDTH)[None, :]
    values = tl.load(x + row[:, None] * x_row + columns[None, :], mask=inside, other=0.0)
    result = normed(values, weight, eps, WIDTH, OFFSET, ROUNDED, BLOCK_W)
    tl.store(out + row[:, None] * out_row + columns[None, :], result, mask=inside)


@triton.jit(do_not_specialize=["rows"])
def add_norm_kernel(
    x, residual, weight, out, summed, x_row, residual_row, out_row, summed_row, rows, eps,
    WIDTH: tl.constexpr, OFFSET: tl.constexpr, ROUNDED: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_W: tl.constexpr,
):  # fmt: skip
    """Grid: (blocks of BLOCK_R rows,). The sum is rounded to its dtype before it is normalised, as it is kept."""
    row = (tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)).to(tl.int64)
    columns = tl.arange(0, BLOCK_W)
    inside = (row < rows)[:, None] & (columns < WIDTH)[None, :]
    added = tl.load(x + row[:, None] * x_row + columns[None, :], mask=inside, other=0.0)
    before = tl.load(residual + row[:, None] * residual_row + columns[None, :], mask=inside, other=0.0)
    values = (added.to(tl.float32) + before.to(tl.float32)).to(added.dtype)
    tl.store(summed + row[:, None] * summed_row + columns[None, :], values, mask=inside)
    result = normed(values, weight, eps, WIDTH, OFFSET, ROUNDED, BLOCK_W)
    tl.store(out + row[:, None] * out_row + columns[None, :], result, mask=inside)


def norm(x: Tensor, weight: Tensor, eps: float, kind: NormKind) -> Tensor:
    """`x` [..., W] over the root of its mean square (and `eps`) along the last dimension, times `weight` [W].

    Same dtype in and out, fp32 between. Raises ValueError for rows wider than 16,384, and for columns that are not
    adjacent.
    """
    flat = x.reshape(-1, x.shape[-1])
    adjacent_columns(x=flat, weight=weight)
    out, tile = torch.empty_like(x, memory_format=torch.contiguous_format), pick_norm(flat.shape[1])
    with on_device(x):
        norm_kernel[(triton.cdiv(len(flat), tile.block_r),)](
            flat, weight, out, flat.stride(0), flat.shape[1], len(flat), eps,
            WIDTH=flat.shape[1], OFFSET=kind.offset, ROUNDED=kind.rounded, **tile.options(),
        )  # fmt: skip
    return out


def add_norm(
    x: Tensor, residual: Tensor, weight: Tensor, eps: float, kind: NormKind
) -> tuple[Tensor, Tensor]:
    """`norm` of `residual` + `x`, both [..., W] and of one dtype; and that sum, which the next addition takes.

    Raises what `norm` raises.
    """
    width = x.shape[-1]
    flat, before = x.reshape(-1, width), residual.reshape(-1, width)
    adjacent_columns(x=flat, residual=before, weight=weight)
    out, summed = (torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(2))
    tile = pick_norm(width)
    with on_device(x):
        add_norm_kernel[(triton.cdiv(len(flat), tile.block_r),)](
            flat, before, weight, out, summed, flat.stride(0), before.stride(0), width, width, len(flat), eps,
            WIDTH=width, OFFSET=kind.offset, ROUNDED=kind.rounded, **tile.options(),
        )  # fmt: skip
    return out, summed
