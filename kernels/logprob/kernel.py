"""The Triton side of `logprob`: logits live in registers, one tile at a time.

Forward: a program walks one split of the vocabulary for one block of rows and keeps what softmax needs. Backward:
the gradient of one chunk of logits is written out in the inputs' dtype, and two matrix products, accumulated in
fp32, take it to the hidden states and to the head. The chunk is the largest thing held beside the gradients.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..guard import on_device
from ..launch import logit_tile, product_tile

# Vocabulary per program of the forward pass: fixed, so that a row's result does not depend on the rows beside it.
SPLIT = 4096
# Elements of the logit gradients held at a time.
HELD = 1 << 27
# Row blocks that run side by side over the same columns, so that both operands come from the L2 cache.
GROUP = tl.constexpr(8)


@triton.jit
def tile_at(program, row_blocks, column_blocks):
    """The program's (row block, column block): GROUP row blocks go through all columns before the next ones."""
    group = program // (GROUP * column_blocks)
    inside = program % (GROUP * column_blocks)
    height = tl.minimum(row_blocks - group * GROUP, GROUP)
    return group * GROUP + inside % height, inside // height


@triton.jit
def logit_block(
    hidden, weight, rows, columns, row_count, column_count, width, hidden_row, weight_row,
    BLOCK_R: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_H: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """hidden[rows] · weight[columns]ᵀ, fp32 [BLOCK_R, BLOCK_V]; what is out of range is computed from a real row."""
    depth = tl.arange(0, BLOCK_H)
    # Clamped instead of masked: no load in the loop needs a row mask, and nobody reads the extra results.
    h_at = hidden + tl.minimum(rows, row_count - 1).to(tl.int64)[:, None] * hidden_row + depth[None, :]
    w_at = weight + tl.minimum(columns, column_count - 1).to(tl.int64)[:, None] * weight_row + depth[None, :]
    logits = tl.zeros((BLOCK_R, BLOCK_V), tl.float32)
    for at in range(0, width, BLOCK_H):
        if EVEN:
            h, w = tl.load(h_at), tl.load(w_at)
        else:
            inside = (at + depth < width)[None, :]
            h, w = tl.load(h_at, mask=inside, other=0.0), tl.load(w_at, mask=inside, other=0.0)
        logits = tl.dot(h, tl.trans(w), logits, input_precision="ieee")
        h_at += BLOCK_H
        w_at += BLOCK_H
    return logits


@triton.jit(do_not_specialize=["row_count", "splits"])
def logprob_forward_kernel(
    hidden, weight, targets, out_m_i, out_l_i, out_weighted, out_picked,
    row_count, column_count, width, hidden_row, weight_row, scale, splits,
    SPLIT: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_H: tl.constexpr,
    EVEN: tl.constexpr,
):  # fmt: skip
    """Grid: (row blocks × splits,). Writes [splits, N]: largest logit, Σ e^(z - m_i), Σ z e^(z - m_i), z_target."""
    block, split = tile_at(tl.program_id(0), tl.cdiv(row_count, BLOCK_R), splits)
    rows = block * BLOCK_R + tl.arange(0, BLOCK_R)
    real = rows < row_count
    target = tl.load(targets + rows, mask=real, other=-1)
    m_i = tl.full((BLOCK_R,), float("-inf"), tl.float32)
    l_i = tl.zeros((BLOCK_R,), tl.float32)
    weighted = tl.zeros((BLOCK_R,), tl.float32)
    picked = tl.zeros((BLOCK_R,), tl.float32)
    for first in range(split * SPLIT, tl.minimum((split + 1) * SPLIT, column_count), BLOCK_V):
        columns = first + tl.arange(0, BLOCK_V)
        logits = logit_block(
            hidden, weight, rows, columns, row_count, column_count, width, hidden_row, weight_row,
            BLOCK_R, BLOCK_V, BLOCK_H, EVEN,
        ) * scale  # fmt: skip
        inside = (columns < column_count)[None, :]
        raised = tl.maximum(m_i, tl.max(tl.where(inside, logits, float("-inf")), 1))
        weights = tl.where(inside, tl.exp(logits - raised[:, None]), 0.0)
        alpha = tl.exp(m_i - raised)
        l_i = l_i * alpha + tl.sum(weights, 1)
        weighted = weighted * alpha + tl.sum(weights * logits, 1)
        picked += tl.sum(tl.where(columns[None, :] == target[:, None], logits, 0.0), 1)
        m_i = raised
    line = split.to(tl.int64) * row_count + rows
    tl.store(out_m_i + line, m_i, mask=real)
    tl.store(out_l_i + line, l_i, mask=real)
    tl.store(out_weighted + line, weighted, mask=real)
    tl.store(out_picked + line, picked, mask=real)


@triton.jit(do_not_specialize=["row_count", "column_count", "offset"])
def logprob_grad_kernel(
    hidden, weight, targets, lse, entropy, to_logprobs, to_entropy, grad,
    row_count, column_count, width, hidden_row, weight_row, grad_row, scale, offset,
    BLOCK_R: tl.constexpr, BLOCK_V: tl.constexpr, BLOCK_H: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """Grid: (row blocks × column blocks,). The gradient of hidden · weightᵀ for one chunk of the vocabulary.

    weight: the chunk's rows, whose first is token `offset`; grad: [N, column_count].
    """
    block, part = tile_at(tl.program_id(0), tl.cdiv(row_count, BLOCK_R), tl.cdiv(column_count, BLOCK_V))
    rows = block * BLOCK_R + tl.arange(0, BLOCK_R)
    columns = part * BLOCK_V + tl.arange(0, BLOCK_V)
    real = rows < row_count
    logits = logit_block(
        hidden, weight, rows, columns, row_count, column_count, width, hidden_row, weight_row,
        BLOCK_R, BLOCK_V, BLOCK_H, EVEN,
    )  # fmt: skip
    target = tl.load(targets + rows, mask=real, other=-1)
    norm = tl.load(lse + rows, mask=real, other=0.0)
    mean = tl.load(entropy + rows, mask=real, other=0.0)
    by_logprob = tl.load(to_logprobs + rows, mask=real, other=0.0)
    by_entropy = tl.load(to_entropy + rows, mask=real, other=0.0)
    logs = logits * scale - norm[:, None]
    grads = -tl.exp(logs) * (by_logprob[:, None] + by_entropy[:, None] * (logs + mean[:, None]))
    grads += tl.where((offset + columns)[None, :] == target[:, None], by_logprob[:, None], 0.0)
    at = grad + rows.to(tl.int64)[:, None] * grad_row + columns[None, :]
    mask = real[:, None] & (columns < column_count)[None, :]
    tl.store(at, (grads * scale).to(grad.dtype.element_ty), mask=mask)


@triton.jit
def product_kernel(
    left, right, out, m, n, k, left_m, left_k, right_k, out_m,
    ADD: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Grid: (n blocks, m blocks). out[m, n] (+)= left[m, k] · right[k, n], summed in fp32.

    The n blocks run first: n is the model's width, a few blocks, so `left`, the larger matrix, is read once.
    """
    m_at = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    n_at = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    depth = tl.arange(0, BLOCK_K)
    m_inside, n_inside = (m_at < m)[:, None], (n_at < n)[None, :]
    l_at = left + m_at.to(tl.int64)[:, None] * left_m + depth[None, :] * left_k
    r_at = right + depth[:, None] * right_k + n_at[None, :]
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for at in range(0, k, BLOCK_K):
        inside = at + depth < k
        a = tl.load(l_at, mask=m_inside & inside[None, :], other=0.0)
        b = tl.load(r_at, mask=n_inside & inside[:, None], other=0.0)
        acc = tl.dot(a, b, acc, input_precision="ieee")
        l_at += BLOCK_K * left_k
        r_at += BLOCK_K * right_k
    mask = m_inside & n_inside
    out_at = out + m_at.to(tl.int64)[:, None] * out_m + n_at[None, :]
    if ADD:
        acc += tl.load(out_at, mask=mask, other=0.0)
    tl.store(out_at, acc.to(out.dtype.element_ty), mask=mask)


def forward(hidden: Tensor, weight: Tensor, targets: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """See `logprob.forward_reference`."""
    hidden, weight = hidden.contiguous(), weight.contiguous()
    (rows, width), columns = hidden.shape, len(weight)
    tile, splits = logit_tile(hidden), triton.cdiv(columns, SPLIT)
    m_i, l_i, weighted, picked = hidden.new_empty(4, splits, rows, dtype=torch.float32)
    with on_device(hidden):
        logprob_forward_kernel[(triton.cdiv(rows, tile.block_r) * splits,)](
            hidden, weight, targets, m_i, l_i, weighted, picked,
            rows, columns, width, hidden.stride(0), weight.stride(0), scale, splits,
            SPLIT=SPLIT, **tile.options(width),
        )  # fmt: skip
    top = m_i.amax(0)
    shares = (m_i - top).exp()
    sums = (l_i * shares).sum(0)
    lse = top + sums.log()
    return picked.sum(0) - lse, lse - (weighted * shares).sum(0) / sums, lse


def backward(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    scale: float,
    lse: Tensor,
    entropy: Tensor,
    to_logprobs: Tensor,
    to_entropy: Tensor,
    wanted: tuple[bool, bool],
) -> tuple[Tensor | None, Tensor | None]:
    """See `logprob.backward_reference`."""
    hidden, weight = hidden.contiguous(), weight.contiguous()
    (rows, width), columns = hidden.shape, len(weight)
    tile = logit_tile(hidden)
    chunk = min(max(HELD // rows // tile.block_v, 1) * tile.block_v, columns)
    held = hidden.new_empty(rows, chunk)
    to_hidden = torch.zeros_like(hidden, dtype=torch.float32) if wanted[0] else None
    to_weight = torch.empty_like(weight) if wanted[1] else None
    for first in range(0, columns, chunk):
        part = weight[first : first + chunk]
        grad = held[:, : len(part)]
        blocks = triton.cdiv(rows, tile.block_r) * triton.cdiv(len(part), tile.block_v)
        with on_device(hidden):
            logprob_grad_kernel[(blocks,)](
                hidden, part, targets, lse, entropy, to_logprobs, to_entropy, grad,
                rows, len(part), width, hidden.stride(0), part.stride(0), grad.stride(0), scale, first,
                **tile.options(width),
            )  # fmt: skip
        if to_hidden is not None:
            product(grad, part, to_hidden, add=True)
        if to_weight is not None:
            product(grad.T, hidden, to_weight[first : first + chunk], add=False)
    return None if to_hidden is None else to_hidden.to(hidden.dtype), to_weight


def product(left: Tensor, right: Tensor, out: Tensor, *, add: bool) -> None:
    """out [m, n] (+)= left [m, k] · right [k, n]; left may be a transposed view."""
    (m, k), n = left.shape, right.shape[1]
    tile = product_tile(left)
    with on_device(left):
        product_kernel[(triton.cdiv(n, tile.block_n), triton.cdiv(m, tile.block_m))](
            left, right, out, m, n, k, left.stride(0), left.stride(1), right.stride(0), out.stride(0),
            ADD=add, **tile.options(),
        )  # fmt: skip
