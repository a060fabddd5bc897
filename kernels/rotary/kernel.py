"""Queries and keys turned by their positions: one launch where PyTorch takes ten. For inference only.

Products and sums are rounded to the dtype one by one, as PyTorch's operators round them.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..guard import adjacent_columns, on_device
from ..launch import pick_rotary


@triton.jit
def turned(x, y, cos, sin, SIGN: tl.constexpr):
    """x · cos + SIGN · y · sin, rounded three times."""
    left = (x.to(tl.float32) * cos.to(tl.float32)[None, :]).to(x.dtype)
    right = (y.to(tl.float32) * (SIGN * sin.to(tl.float32))[None, :]).to(x.dtype)
    return (left.to(tl.float32) + right.to(tl.float32)).to(x.dtype)


@triton.jit
def turn_heads(
    x, out, x_head, out_head, head, heads, cos, sin,
    HALF: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """The heads `head` [H] of one row at `x`, written to `out`; cos and sin are the row's, 2 · HALF columns."""
    columns = tl.arange(0, BLOCK_D)
    known = columns < HALF
    inside = (head < heads)[:, None] & known[None, :]
    at = x + head[:, None] * x_head + columns[None, :]
    low, high = tl.load(at, mask=inside, other=0.0), tl.load(at + HALF, mask=inside, other=0.0)
    cos_low, sin_low = (
        tl.load(cos + columns, mask=known, other=0.0),
        tl.load(sin + columns, mask=known, other=0.0),
    )
    cos_high = tl.load(cos + HALF + columns, mask=known, other=0.0)
    sin_high = tl.load(sin + HALF + columns, mask=known, other=0.0)
    to = out + head[:, None] * out_head + columns[None, :]
    tl.store(to, turned(low, high, cos_low, sin_low, -1.0), mask=inside)
    tl.store(to + HALF, turned(high, low, cos_high, sin_high, 1.0), mask=inside)


@triton.jit
def rotary_kernel(
    query, key, cos, sin, out_query, out_key,
    query_head, query_row, key_head, key_row, cos_row, sin_row,
    out_query_head, out_query_row, out_key_head, out_key_row, query_heads, key_heads,
    HALF: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_H: tl.constexpr,
):  # fmt: skip
    """Grid: (rows, blocks of the query's heads, then of the key's). Columns are adjacent."""
    row, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    of_query = tl.cdiv(query_heads, BLOCK_H)
    cos += row * cos_row
    sin += row * sin_row
    if block < of_query:
        head = block * BLOCK_H + tl.arange(0, BLOCK_H)
        turn_heads(
            query + row * query_row, out_query + row * out_query_row, query_head, out_query_head,
            head, query_heads, cos, sin, HALF, BLOCK_D,
        )  # fmt: skip
    else:
        head = (block - of_query) * BLOCK_H + tl.arange(0, BLOCK_H)
        turn_heads(
            key + row * key_row, out_key + row * out_key_row, key_head, out_key_head,
            head, key_heads, cos, sin, HALF, BLOCK_D,
        )  # fmt: skip


def rotate(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Turns each pair of columns (c, c + D / 2) of queries [1, q_heads, T, D] and keys [1, kv_heads, T, D].

    cos, sin: [1, T, D], of the same dtype. Returns tensors laid out as theirs (the heads of a row adjacent where they
    are). Raises ValueError for columns that are not adjacent.
    """
    adjacent_columns(query=query, key=key, cos=cos, sin=sin)
    out_query, out_key = torch.empty_like(query), torch.empty_like(key)
    query_heads, key_heads, rows, size = query.shape[1], key.shape[1], query.shape[2], query.shape[3]
    tile = pick_rotary(size)
    blocks = triton.cdiv(query_heads, tile.block_h) + triton.cdiv(key_heads, tile.block_h)
    with on_device(query):
        rotary_kernel[(rows, blocks)](
            query, key, cos, sin, out_query, out_key,
            query.stride(1), query.stride(2), key.stride(1), key.stride(2), cos.stride(1), sin.stride(1),
            out_query.stride(1), out_query.stride(2), out_key.stride(1), out_key.stride(2), query_heads, key_heads,
            HALF=size // 2, **tile.options(),
        )  # fmt: skip
    return out_query, out_key
