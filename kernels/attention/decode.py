"""Attention of few rows over many keys: suffix copies and rollouts, split over the keys.

Rows of several chunks (the copies of a speculated suffix, the rollouts of a prompt) share a tile and so share every
key they load, although each chunk sees a subset of its own: a word of 32 bits beside each listed key says which of
the tile's chunks see it. The splits of a tile run side by side, and a second kernel merges them by log-sum-exp
(Flash-Decoding, Dao et al. 2023).

The length of a split is fixed, whatever else runs in the batch, so a query's result does not depend, in any bit, on
the queries beside it.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..launch import fitting_tile, log2_scale
from .online import attend, attend_own, load_rows
from .work import DecodeWork


@triton.jit
def decode_kernel(
    query, key, value, stored_key, stored_value, partial, partial_lse,
    tile_rows, tile_counts, item_tiles, key_begins, key_ends, item_own, key_slots, key_seen_by, chunk_bits,
    chunk_starts, own_ends,
    query_head, query_row, key_head, key_row, value_head, value_row, stored_head, stored_slot,
    groups, scale, context_bias,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Grid: (items, KV heads). partial: [items, kv_heads, BLOCK_M, D]; partial_lse: [items, kv_heads, BLOCK_M]."""
    item, kv_head = tl.program_id(0), tl.program_id(1).to(tl.int64)
    tile = tl.load(item_tiles + item)
    first, count = tl.load(tile_rows + tile), tl.load(tile_counts + tile)
    packed = tl.arange(0, BLOCK_M)
    real = packed < count * groups
    row = first + tl.minimum(packed // groups, count - 1)
    head = kv_head * groups + packed % groups
    columns = tl.arange(0, BLOCK_D)
    wanted = real[:, None] & (columns < D)[None, :]
    at = query + head[:, None] * query_head + row[:, None] * query_row + columns[None, :]
    q = tl.load(at, mask=wanted, other=0.0)
    bit = tl.load(chunk_bits + row)

    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    m_i = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    l_i = tl.zeros((BLOCK_M,), tl.float32)
    stored_key += kv_head * stored_head
    stored_value += kv_head * stored_head
    end = tl.load(key_ends + item)
    for n in range(tl.load(key_begins + item), end, BLOCK_N):
        index = n + tl.arange(0, BLOCK_N)
        inside = index < end
        slot = tl.load(key_slots + index, mask=inside, other=0)
        seen_by = tl.load(key_seen_by + index, mask=inside, other=0)  # no bit is set past the end
        k = load_rows(stored_key, slot, stored_slot, inside, D, BLOCK_D)
        v = load_rows(stored_value, slot, stored_slot, inside, D, BLOCK_D)
        visible = ((seen_by[None, :] >> bit[:, None]) & 1) != 0
        acc, m_i, l_i = attend(q, k, v, visible, acc, m_i, l_i, scale, True, context_bias)
    if tl.load(item_own + item) != 0:
        acc, m_i, l_i = attend_own(
            q, key + kv_head * key_head, value + kv_head * value_head, key_row, value_row,
            tl.load(chunk_starts + row), tl.load(own_ends + row), first, acc, m_i, l_i, scale,
            D, BLOCK_D, BLOCK_N,
        )  # fmt: skip
    line = (item * tl.num_programs(1) + kv_head) * BLOCK_M + packed  # 64 bits, as kv_head is
    # A row may see nothing of this split: its m_i is −∞, and so is its log-sum-exp.
    divisor = tl.where(l_i > 0.0, l_i, 1.0)
    tl.store(partial + line[:, None] * D + columns[None, :], acc / divisor[:, None], mask=wanted)
    tl.store(partial_lse + line, m_i + tl.log2(divisor), mask=real)


@triton.jit
def merge_kernel(
    partial, partial_lse, out, tile_rows, tile_counts, item_offsets, out_row, out_head, groups,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    """Grid: (tiles, KV heads). A row's result is the mean of its items' results weighted by exp(lse)."""
    tile, kv_head = tl.program_id(0), tl.program_id(1).to(tl.int64)
    first, count = tl.load(tile_rows + tile), tl.load(tile_counts + tile)
    packed = tl.arange(0, BLOCK_M)
    real = packed < count * groups
    columns = tl.arange(0, BLOCK_D)
    wanted = real[:, None] & (columns < D)[None, :]
    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    m_i = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    l_i = tl.zeros((BLOCK_M,), tl.float32)
    for item in range(tl.load(item_offsets + tile), tl.load(item_offsets + tile + 1)):
        line = (item * tl.num_programs(1) + kv_head) * BLOCK_M + packed
        lse = tl.load(partial_lse + line, mask=real, other=0.0)
        piece = tl.load(partial + line[:, None] * D + columns[None, :], mask=wanted, other=0.0)
        raised = tl.maximum(m_i, lse)
        base = tl.where(raised == float("-inf"), 0.0, raised)
        weight, alpha = tl.exp2(lse - base), tl.exp2(m_i - base)
        acc = acc * alpha[:, None] + piece * weight[:, None]
        l_i = l_i * alpha + weight
        m_i = raised
    row = first + packed // groups
    head = kv_head * groups + packed % groups
    result = (acc / l_i[:, None]).to(out.dtype.element_ty)
    tl.store(out + row[:, None] * out_row + head[:, None] * out_head + columns[None, :], result, mask=wanted)


def decode(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    stored_key: Tensor,
    stored_value: Tensor,
    work: DecodeWork,
    out: Tensor,
    scaling: float,
    context_bias: float = 0.0,
) -> None:
    """Fills the rows of `out` that the work's tiles cover.

    query: [q_heads, T, D]; key, value: [kv_heads, T, D], the step's own; stored_key, stored_value:
    [kv_heads, slots, D]; out: [T, q_heads, D]. context_bias is added to the scaled scores of stored keys.
    """
    kv_heads, groups, size = key.shape[0], query.shape[0] // key.shape[0], query.shape[-1]
    items, tile = len(work.tiles), fitting_tile("decode", query, work.largest * groups)
    partial = torch.empty(items, kv_heads, tile.block_m, size, dtype=torch.float32, device=query.device)
    lse = torch.empty(items, kv_heads, tile.block_m, dtype=torch.float32, device=query.device)
    decode_kernel[(items, kv_heads)](
        query, key, value, stored_key, stored_value, partial, lse,
        work.rows, work.counts, work.tiles, work.key_begins, work.key_ends, work.own, work.key_slots,
        work.key_seen_by, work.chunk_bits, work.chunk_starts, work.own_ends,
        query.stride(0), query.stride(1), key.stride(0), key.stride(1), value.stride(0), value.stride(1),
        stored_key.stride(0), stored_key.stride(1),
        groups, log2_scale(scaling), log2_scale(context_bias),
        **tile.options(),
    )  # fmt: skip
    merge_kernel[(len(work.rows), kv_heads)](
        partial, lse, out, work.rows, work.counts, work.item_offsets, out.stride(0), out.stride(1), groups,
        D=size, BLOCK_D=tile.block_d, BLOCK_M=tile.block_m, num_warps=8,
    )  # fmt: skip
