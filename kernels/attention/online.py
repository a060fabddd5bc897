"""Device functions of the attention kernel: rows of a strided matrix, and one step of online softmax.

The online softmax (Milakov and Gimelshein 2018; FlashAttention, Dao et al. 2022) keeps for every row the largest
score so far, the sum of exponentials below it, and the weighted sum of values. Everything is in base 2, so that
one multiplication by scale · log2(e) is all that stands between a product and `exp2`.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def load_rows(base, rows, row_stride, valid, D: tl.constexpr, BLOCK_D: tl.constexpr):
    """[len(rows), BLOCK_D] from a matrix whose columns are adjacent; zeros where a row is not `valid`."""
    columns = tl.arange(0, BLOCK_D)
    pointers = base + rows[:, None] * row_stride + columns[None, :]
    if D == BLOCK_D:
        return tl.load(pointers, mask=valid[:, None], other=0.0)
    return tl.load(pointers, mask=valid[:, None] & (columns < D)[None, :], other=0.0)


@triton.jit
def attend(q, k, v, visible, acc, m_i, l_i, scale, MASKED: tl.constexpr, bias=None):
    """Takes keys k and values v [N, D] into the running softmax of the rows q [M, D].

    visible: bool, broadcastable to [M, N]; ignored unless MASKED. bias: added to the scaled scores, in base
    2 as they are. acc [M, D], m_i [M] and l_i [M] are the state, fp32; m_i starts at −∞.
    """
    scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
    if bias is not None:
        scores += bias  # with the scale one fused multiplication and addition
    if MASKED:
        scores = tl.where(visible, scores, float("-inf"))
    raised = tl.maximum(m_i, tl.max(scores, 1))
    # A row that has seen nothing yet has m_i −∞: subtracting 0 instead keeps −∞ − (−∞) away.
    base = tl.where(raised == float("-inf"), 0.0, raised)
    weights = tl.exp2(scores - base[:, None])
    alpha = tl.exp2(m_i - base)
    l_i = l_i * alpha + tl.sum(weights, 1)
    acc = tl.dot(weights.to(v.dtype), v, acc * alpha[:, None], input_precision="ieee")
    return acc, raised, l_i


@triton.jit
def attend_own(
    q, key, value, key_row_stride, value_row_stride, chunk_start, own_end, first, step, acc, m_i, l_i, scale,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """The step's own keys: row r sees the rows from `chunk_start[r]` to `own_end[r]` - 1.

    `first` is the tile's first row. Blocks of keys are counted from the start of the tile's first chunk. Those that
    precede the tile by whole blocks are seen by everyone when it holds no second chunk, and take no mask. The others
    are `step` keys long, at most BLOCK_N.
    """
    begin, end = tl.min(chunk_start), tl.max(own_end)
    alone = tl.max(chunk_start) == begin
    unmasked = tl.where(alone, begin + (first - begin) // BLOCK_N * BLOCK_N, begin)
    keys = tl.arange(0, BLOCK_N)
    for at in range(begin, unmasked, BLOCK_N):
        rows = at + keys
        inside = rows < end
        k = load_rows(key, rows, key_row_stride, inside, D, BLOCK_D)
        v = load_rows(value, rows, value_row_stride, inside, D, BLOCK_D)
        acc, m_i, l_i = attend(q, k, v, inside[None, :], acc, m_i, l_i, scale, False)
    step = tl.minimum(step, BLOCK_N)
    for at in range(unmasked, end, step):
        rows = at + keys
        inside = (keys < step) & (rows < end)
        k = load_rows(key, rows, key_row_stride, inside, D, BLOCK_D)
        v = load_rows(value, rows, value_row_stride, inside, D, BLOCK_D)
        visible = (
            inside[None, :] & (rows[None, :] >= chunk_start[:, None]) & (rows[None, :] < own_end[:, None])
        )
        acc, m_i, l_i = attend(q, k, v, visible, acc, m_i, l_i, scale, True)
    return acc, m_i, l_i
