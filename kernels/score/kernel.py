"""Scores of the candidates still alive, for every decision of a step at once.

One program takes one decision: it gathers the language-model head's rows of the alive identifiers, multiplies them
with the hidden state, and normalises in registers. The vocabulary's other rows are never read.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..guard import adjacent_columns, on_device
from ..launch import pick_score
from .reference import Scores


@triton.jit
def score_kernel(
    hidden, weight, identifiers, offsets, out_logits, out_logprobs, out_entropy, out_best,
    hidden_row, weight_row, width, scale, cap,
    CAPPED: tl.constexpr, BLOCK_A: tl.constexpr, BLOCK_H: tl.constexpr,
):  # fmt: skip
    """Grid: (decisions,). width: columns of hidden and weight."""
    decision = tl.program_id(0)
    end = tl.load(offsets + decision + 1)
    index = tl.load(offsets + decision) + tl.arange(0, BLOCK_A)
    alive = index < end
    identifier = tl.load(identifiers + index, mask=alive, other=0).to(tl.int64)
    products = tl.zeros((BLOCK_A, BLOCK_H), tl.float32)
    for at in range(0, width, BLOCK_H):
        columns = at + tl.arange(0, BLOCK_H)
        inside = columns < width
        h = tl.load(hidden + decision.to(tl.int64) * hidden_row + columns, mask=inside, other=0.0)
        rows = weight + identifier[:, None] * weight_row + columns[None, :]
        w = tl.load(rows, mask=alive[:, None] & inside[None, :], other=0.0)
        products += w.to(tl.float32) * h.to(tl.float32)[None, :]
    logits = tl.sum(products, 1) * scale
    if CAPPED:
        logits = cap * (2.0 * tl.sigmoid(2.0 * logits / cap) - 1.0)  # cap · tanh(logits / cap)
    logits = tl.where(alive, logits, float("-inf"))
    shifted = logits - tl.max(logits, 0)
    l_i = tl.sum(tl.exp(shifted), 0)
    logprobs = shifted - tl.log(l_i)
    weighted = tl.exp(logprobs) * tl.where(alive, logprobs, 0.0)
    tl.store(out_logits + index, logits, mask=alive)
    tl.store(out_logprobs + index, logprobs, mask=alive)
    tl.store(out_entropy + decision, -tl.sum(weighted, 0))
    tl.store(out_best + decision, tl.argmax(logits, 0))


def score(
    hidden: Tensor,
    weight: Tensor,
    identifiers: Tensor,
    offsets: Tensor,
    most: int,
    scale: float = 1.0,
    cap: float | None = None,
) -> Scores:
    """Logits, log-probabilities, entropy and argmax of every decision over its alive identifiers.

    hidden: [R, H]; weight: [V, H], the language-model head; decision r's identifiers are the tokens
    `identifiers[offsets[r]:offsets[r + 1]]` (at least one, at most `most`), int32. Logits are multiplied by `scale`,
    then soft-capped. Raises ValueError for more than 512 identifiers in one decision, and for columns that are not
    adjacent.
    """
    adjacent_columns(hidden=hidden, weight=weight)
    decisions, alive = len(hidden), len(identifiers)
    tile = pick_score(most)
    logits, logprobs = (torch.empty(alive, dtype=torch.float32, device=hidden.device) for _ in range(2))
    entropy = torch.empty(decisions, dtype=torch.float32, device=hidden.device)
    best = torch.empty(decisions, dtype=torch.int32, device=hidden.device)
    with on_device(hidden):
        score_kernel[(decisions,)](
            hidden, weight, identifiers, offsets, logits, logprobs, entropy, best,
            hidden.stride(0), weight.stride(0), hidden.shape[1], scale, 1.0 if cap is None else cap,
            CAPPED=cap is not None, **tile.options(),
        )  # fmt: skip
    return Scores(logits, logprobs, entropy, best)
