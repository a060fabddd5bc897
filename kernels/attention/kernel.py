"""Attention of ragged chunks over stored keys that they share, then over themselves.

One program takes one item: a tile of rows over one split of the stored keys it sees, for all query heads of one KV
head (grouped heads are packed into the rows of the tile, so a key is loaded once for all of them). Keys are read in
place, cell by cell of 64 adjacent slots. Rows of several chunks share a tile although each sees a set of its own (the
copies of a guessed question, the rollouts of a prompt): a word of 32 bits behind each key says which of them see it.

A tile whose keys are one split is written at once. The splits of another run side by side (Flash-Decoding, Dao et al.
2023), and a second kernel merges their parts by log-sum-exp, wave after wave, so that parts take the same memory
whatever the step holds.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..guard import adjacent_columns, on_device, small_offsets
from ..launch import fitting_tile, log2_scale
from .online import attend, attend_own, load_rows
from .work import CELL, AttentionMetadata


@triton.jit(do_not_specialize=["first_item"])
def attention_kernel(
    query, key, value, stored_key, stored_value, out, partial, partial_lse,
    tile_rows, tile_counts, item_tiles, cell_begins, cell_ends, item_own, item_parts, cell_slots, key_words, row_bits,
    chunk_starts, own_ends,
    query_head, query_row, key_head, key_row, value_head, value_row, stored_head, stored_slot, out_row, out_head,
    first_item, groups, scale, context_bias,
    CELL: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Grid: (items of a wave, KV heads). Strides are in elements; the columns of every matrix are adjacent.

    partial: [parts of the wave, kv_heads, BLOCK_M, D]; partial_lse: [parts of the wave, kv_heads, BLOCK_M].
    """
    item, kv_head = first_item + tl.program_id(0), tl.program_id(1).to(tl.int64)
    tile = tl.load(item_tiles + item)
    first, count = tl.load(tile_rows + tile), tl.load(tile_counts + tile)
    if count == 0:
        return
    packed = tl.arange(0, BLOCK_M)
    real = packed < count * groups
    # Padding repeats the tile's last row: a row that sees something, whose result is not written.
    row = first + tl.minimum(packed // groups, count - 1)
    head = kv_head * groups + packed % groups
    columns = tl.arange(0, BLOCK_D)
    wanted = real[:, None] & (columns < D)[None, :]
    at = query + head[:, None] * query_head + row[:, None] * query_row + columns[None, :]
    q = tl.load(at, mask=wanted, other=0.0)
    bit = tl.load(row_bits + row)

    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    m_i = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    l_i = tl.zeros((BLOCK_M,), tl.float32)
    stored_key += kv_head * stored_head
    stored_value += kv_head * stored_head
    keys = tl.arange(0, BLOCK_N)
    for n in range(tl.load(cell_begins + item) * CELL, tl.load(cell_ends + item) * CELL, BLOCK_N):
        slot = tl.load(cell_slots + n // CELL) + n % CELL
        seen_by = tl.load(key_words + n + keys)
        known = seen_by != 0  # what nobody sees may be somebody else's, or not a number
        k = load_rows(stored_key, slot + keys, stored_slot, known, D, BLOCK_D)
        v = load_rows(stored_value, slot + keys, stored_slot, known, D, BLOCK_D)
        visible = ((seen_by[None, :] >> bit[:, None]) & 1) != 0
        acc, m_i, l_i = attend(q, k, v, visible, acc, m_i, l_i, scale, True, context_bias)
    own = tl.load(item_own + item)
    if own != 0:
        acc, m_i, l_i = attend_own(
            q, key + kv_head * key_head, value + kv_head * value_head, key_row, value_row,
            tl.load(chunk_starts + row), tl.load(own_ends + row), first, own, acc, m_i, l_i, scale,
            D, BLOCK_D, BLOCK_N,
        )  # fmt: skip
    # A row may see nothing of this split: its m_i is −∞, and so is its log-sum-exp.
    divisor = tl.where(l_i > 0.0, l_i, 1.0)
    result = acc / divisor[:, None]
    part = tl.load(item_parts + item)
    if part < 0:
        to = out + row[:, None] * out_row + head[:, None] * out_head + columns[None, :]
        tl.store(to, result.to(out.dtype.element_ty), mask=wanted)
    else:
        line = (part * tl.num_programs(1) + kv_head) * BLOCK_M + packed  # 64 bits, as kv_head is
        tl.store(partial + line[:, None] * D + columns[None, :], result, mask=wanted)
        tl.store(partial_lse + line, m_i + tl.log2(divisor), mask=real)


@triton.jit(do_not_specialize=["first_merge"])
def merge_kernel(
    partial, partial_lse, out, tile_rows, tile_counts, merged, part_begins, part_ends, out_row, out_head,
    first_merge, groups,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    """Grid: (merges of a wave, KV heads). Weighs a tile's parts by what each saw."""
    merge, kv_head = first_merge + tl.program_id(0), tl.program_id(1).to(tl.int64)
    tile = tl.load(merged + merge)
    first, count = tl.load(tile_rows + tile), tl.load(tile_counts + tile)
    packed, columns = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_D)
    real = packed < count * groups
    wanted = real[:, None] & (columns < D)[None, :]
    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    m_i = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    l_i = tl.zeros((BLOCK_M,), tl.float32)
    for part in range(tl.load(part_begins + merge), tl.load(part_ends + merge)):
        line = (part * tl.num_programs(1) + kv_head) * BLOCK_M + packed
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
    result = acc / tl.where(l_i > 0.0, l_i, 1.0)[:, None]
    to = out + row[:, None] * out_row + head[:, None] * out_head + columns[None, :]
    tl.store(to, result.to(out.dtype.element_ty), mask=wanted)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    stored_key: Tensor,
    stored_value: Tensor,
    work: AttentionMetadata,
    words: Tensor,
    out: Tensor,
    scaling: float,
    context_bias: float = 0.0,
) -> None:
    """Fills `out`, all of whose rows are in the work's tiles.

    query: [q_heads, T, D]; key, value: [kv_heads, T, D], the step's own; stored_key, stored_value:
    [kv_heads, slots, D]; out: [T, q_heads, D]; words: the work's `key_words()`. context_bias is added to the scaled
    scores of stored keys. Raises ValueError for work of larger tiles than the kernel's, for columns that are not
    adjacent, and for rows of a step that are too far apart.
    """
    adjacent_columns(
        query=query, key=key, value=value, stored_key=stored_key, stored_value=stored_value, out=out
    )
    small_offsets(query=query, key=key, value=value, out=out.transpose(0, 1))
    kv_heads, groups, size = key.shape[0], query.shape[0] // key.shape[0], query.shape[-1]
    tile = fitting_tile(query, work.largest * groups)
    partial = query.new_empty(work.most_parts, kv_heads, tile.block_m, size, dtype=torch.float32)
    lse = query.new_empty(work.most_parts, kv_heads, tile.block_m, dtype=torch.float32)
    with on_device(query):
        for items, items_end, merges, merges_end in work.waves:
            attention_kernel[(items_end - items, kv_heads)](
                query, key, value, stored_key, stored_value, out, partial, lse,
                work.rows, work.counts, work.tiles, work.cell_begins, work.cell_ends, work.own, work.parts,
                work.cell_slots, words, work.row_bits, work.chunk_starts, work.own_ends,
                query.stride(0), query.stride(1), key.stride(0), key.stride(1), value.stride(0), value.stride(1),
                stored_key.stride(0), stored_key.stride(1), out.stride(0), out.stride(1),
                items, groups, log2_scale(scaling), log2_scale(context_bias),
                CELL=CELL, **tile.options(),
            )  # fmt: skip
            if merges_end > merges:
                merge_kernel[(merges_end - merges, kv_heads)](
                    partial, lse, out, work.rows, work.counts, work.merged, work.part_begins, work.part_ends,
                    out.stride(0), out.stride(1), merges, groups,
                    D=size, BLOCK_D=tile.block_d, BLOCK_M=tile.block_m, num_warps=8,
                )  # fmt: skip
