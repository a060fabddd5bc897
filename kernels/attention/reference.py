"""What the attention kernels compute, row by row in PyTorch; they say what must come out."""

from __future__ import annotations

import torch
from torch import Tensor

from .work import DecodeWork, PrefillWork


def prefill_reference(
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
    """See `prefill`; row by row, in the precision of its arguments."""
    groups = query.shape[0] // key.shape[0]
    tiles = (work.rows, work.counts, work.run_begins, work.run_ends)
    for first, count, begin, end in zip(*(x.tolist() for x in tiles), strict=True):
        runs = zip(work.run_starts[begin:end].tolist(), work.run_lengths[begin:end].tolist(), strict=True)
        slots = [slot for start, length in runs for slot in range(start, start + length)]
        for row in range(first, first + count):
            own = slice(int(work.chunk_starts[row]), int(work.own_ends[row]))
            keys = torch.cat([stored_key[:, slots], key[:, own]], 1).repeat_interleave(groups, 0)
            values = torch.cat([stored_value[:, slots], value[:, own]], 1).repeat_interleave(groups, 0)
            scores = torch.einsum("hd,hnd->hn", query[:, row], keys) * scaling
            scores[:, : len(slots)] += context_bias
            out[row] = torch.einsum("hn,hnd->hd", scores.softmax(-1), values)


def decode_reference(
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
    """See `decode`; row by row, without splits, in the precision of its arguments."""
    groups = query.shape[0] // key.shape[0]
    for tile, (first, count) in enumerate(zip(work.rows.tolist(), work.counts.tolist(), strict=True)):
        items = slice(int(work.item_offsets[tile]), int(work.item_offsets[tile + 1]))
        spans = zip(work.key_begins[items].tolist(), work.key_ends[items].tolist(), strict=True)
        listed = [index for begin, end in spans for index in range(begin, end)]
        for row in range(first, first + count):
            seen = (work.key_seen_by[listed] >> work.chunk_bits[row]) & 1
            slots = work.key_slots[listed][seen == 1].long()
            own = slice(int(work.chunk_starts[row]), int(work.own_ends[row]))
            keys = torch.cat([stored_key[:, slots], key[:, own]], 1).repeat_interleave(groups, 0)
            values = torch.cat([stored_value[:, slots], value[:, own]], 1).repeat_interleave(groups, 0)
            scores = torch.einsum("hd,hnd->hn", query[:, row], keys) * scaling
            scores[:, : len(slots)] += context_bias
            out[row] = torch.einsum("hn,hnd->hd", scores.softmax(-1), values)
