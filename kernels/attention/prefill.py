"""Attention of many rows at once: ragged chunks over stored keys they share, then over themselves.

One program takes one tile of rows, for all query heads of one KV head (grouped heads are packed into the rows of
the tile, so a key is loaded once for all of them). It walks the runs of stored slots the tile sees, read in place,
and then of each row's own chunk what it sees: itself and what came before, or all of it. Small chunks that see the
same stored keys share tiles: a hundred short candidates over one prefix cost no padding.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from ..launch import fitting_tile, log2_scale
from .online import attend, attend_own, load_rows
from .work import PrefillWork


@triton.jit
def prefill_kernel(
    query, key, value, stored_key, stored_value, out,
    tile_rows, tile_counts, run_begins, run_ends, run_starts, run_lengths, chunk_starts,
    own_ends,
    query_head, query_row, key_head, key_row, value_head, value_row,
    stored_head, stored_slot, out_row, out_head,
    groups, scale, context_bias,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Grid: (tiles, KV heads). Strides are in elements; the columns of every matrix are adjacent."""
    tile, kv_head = tl.program_id(0), tl.program_id(1).to(tl.int64)
    first, count = tl.load(tile_rows + tile), tl.load(tile_counts + tile)
    packed = tl.arange(0, BLOCK_M)
    real = packed < count * groups
    # Padding repeats the tile's last row: a row that sees something, whose result is not written.
    row = first + tl.minimum(packed // groups, count - 1)
    head = kv_head * groups + packed % groups
    columns = tl.arange(0, BLOCK_D)
    wanted = real[:, None] & (columns < D)[None, :]
    at = query + head[:, None] * query_head + row[:, None] * query_row + columns[None, :]
    q = tl.load(at, mask=wanted, other=0.0)

    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    m_i = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    l_i = tl.zeros((BLOCK_M,), tl.float32)
    stored_key += kv_head * stored_head
    stored_value += kv_head * stored_head
    for run in range(tl.load(run_begins + tile), tl.load(run_ends + tile)):
        start, length = tl.load(run_starts + run), tl.load(run_lengths + run)
        for n in range(0, length, BLOCK_N):
            index = n + tl.arange(0, BLOCK_N)
            inside = index < length
            k = load_rows(stored_key, start + index, stored_slot, inside, D, BLOCK_D)
            v = load_rows(stored_value, start + index, stored_slot, inside, D, BLOCK_D)
            acc, m_i, l_i = attend(q, k, v, inside[None, :], acc, m_i, l_i, scale, True, context_bias)
    acc, m_i, l_i = attend_own(
        q, key + kv_head * key_head, value + kv_head * value_head, key_row, value_row,
        tl.load(chunk_starts + row), tl.load(own_ends + row), first, acc, m_i, l_i, scale,
        D, BLOCK_D, BLOCK_N,
    )  # fmt: skip
    result = (acc / l_i[:, None]).to(out.dtype.element_ty)
    tl.store(out + row[:, None] * out_row + head[:, None] * out_head + columns[None, :], result, mask=wanted)


def prefill(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    stored_key: Tensor,
    stored_value: Tensor,
    work: PrefillWork,
    out: Tensor,
    scaling: float,
    context_bias: float = 0.0,
) -> None:
    """Fills the rows of `out` that the work's tiles cover.

    query: [q_heads, T, D]; key, value: [kv_heads, T, D], the step's own; stored_key, stored_value:
    [kv_heads, slots, D]; out: [T, q_heads, D]. context_bias is added to the scaled scores of stored keys.
    """
    kv_heads, groups = key.shape[0], query.shape[0] // key.shape[0]
    tile = fitting_tile("prefill", query, work.largest * groups)
    prefill_kernel[(len(work.rows), kv_heads)](
        query, key, value, stored_key, stored_value, out,
        work.rows, work.counts, work.run_begins, work.run_ends, work.run_starts, work.run_lengths,
        work.chunk_starts, work.own_ends,
        query.stride(0), query.stride(1), key.stride(0), key.stride(1), value.stride(0), value.stride(1),
        stored_key.stride(0), stored_key.stride(1), out.stride(0), out.stride(1),
        groups, log2_scale(scaling), log2_scale(context_bias),
        **tile.options(),
    )  # fmt: skip
