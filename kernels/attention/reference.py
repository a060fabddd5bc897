"""What the attention kernel computes, row by row in PyTorch; it says what must come out."""

from __future__ import annotations

import torch
from torch import Tensor

from .work import CELL, AttentionMetadata


def attention_reference(
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
    """See `attention`; row by row, without splits, in the precision of its arguments."""
    groups = query.shape[0] // key.shape[0]
    slots = (work.cell_slots[:, None] + torch.arange(CELL, device=words.device)).flatten()
    for tile, (first, count) in enumerate(zip(work.rows.tolist(), work.counts.tolist(), strict=True)):
        items = (work.tiles == tile).nonzero().flatten().tolist()
        listed = [
            key
            for item in items
            for key in range(int(work.cell_begins[item]) * CELL, int(work.cell_ends[item]) * CELL)
        ]
        for row in range(first, first + count):
            seen = slots[listed][((words[listed] >> work.row_bits[row]) & 1) == 1].long()
            own = slice(int(work.chunk_starts[row]), int(work.own_ends[row]))
            keys = torch.cat([stored_key[:, seen], key[:, own]], 1).repeat_interleave(groups, 0)
            values = torch.cat([stored_value[:, seen], value[:, own]], 1).repeat_interleave(groups, 0)
            scores = torch.einsum("hd,hnd->hn", query[:, row], keys) * scaling
            scores[:, : len(seen)] += context_bias
            out[row] = torch.einsum("hn,hnd->hd", scores.softmax(-1), values)
