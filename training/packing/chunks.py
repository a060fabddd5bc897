"""Attention of a step's plan with gradients: its chunks see segments that are rows of the very same forward."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from rranker.engine.batch import Batch, Ints
from rranker.training.packing.layout import picked

_MOST_SCORES = 1 << 22
"""Query-key pairs of one call, for a head: bounds what a call's mask takes."""


@dataclass(frozen=True)
class Group:
    """B chunks of at most L rows that see at most S stored rows: one call of attention.

    Padded rows are left out of the result; padded keys, of chunk b those from `seen[b]` to S, are hidden.
    """

    rows: Tensor  # [B, L]
    keys: Tensor  # [B, S + L], stored ones, then the chunk's own
    seen: Tensor  # [B]
    own_ends: Tensor  # [B, L], how many of the chunk's own keys a row sees
    context_bias: float  # added to the scores of stored keys
    _masks: dict[tuple[object, ...], Tensor] = field(default_factory=dict, repr=False)

    def mask(self, positions: Tensor, like: Tensor, copies: int, window: int | None) -> Tensor:
        """[B, 1, copies * L, S + L] in the dtype of `like`: what is added to the scores.

        `context_bias` where a row sees a stored key, 0 where it sees one of its own chunk, else -∞.
        Made once for all layers: each keeps it for its gradient.
        """
        known = self._masks.get((like.dtype, copies, window))
        if known is None:
            length = self.rows.shape[1]
            stored = self.keys.shape[1] - length
            steps = torch.arange(max(stored, length), device=like.device)
            others = (steps[:stored] >= self.seen[:, None])[:, None].expand(-1, length, -1)
            own = steps[:length] >= self.own_ends[:, :, None]
            hidden = torch.cat([others, own], -1)
            if window is not None:
                hidden |= (positions[self.rows][:, :, None] - positions[self.keys][:, None]).abs() >= window
            known = torch.zeros(hidden.shape, dtype=like.dtype, device=like.device)
            known[..., :stored] = self.context_bias
            known = known.masked_fill_(hidden, -torch.inf).repeat(1, copies, 1)[:, None]
            self._masks[like.dtype, copies, window] = known
        return known


@dataclass(frozen=True)
class Chunks:
    """A plan for `chunk_attention`; `back[t]` is where row t lies in the groups' padded results, end to end."""

    groups: tuple[Group, ...]
    positions: Tensor  # [T]
    back: Tensor  # [T]


def build_chunks(plan: Batch, device: torch.device) -> Chunks:
    """Every segment that a chunk sees must be written by the plan itself."""
    written = np.flatnonzero(plan.write_slots >= 0)
    written = written[np.argsort(plan.write_slots[written], kind="stable")]
    at = np.searchsorted(plan.write_slots[written], plan.segment_starts[plan.visible])
    seen_lengths = plan.segment_lengths[plan.visible]
    stored = _ranges(written[at], seen_lengths)
    stored_offsets = np.concatenate([[0], np.cumsum(seen_lengths)])[plan.visible_offsets]
    seen, lengths = np.diff(stored_offsets), np.diff(plan.row_offsets)
    groups, back, padded = list[Group](), np.zeros(plan.rows, dtype=np.int64), 0
    for chunks in _alike(lengths, seen):
        length, most = int(lengths[chunks].max()), int(seen[chunks].max())
        inside = np.arange(length)
        rows = plan.row_offsets[chunks][:, None] + np.minimum(inside, lengths[chunks][:, None] - 1)
        keys = np.zeros((len(chunks), most + length), dtype=np.int64)
        keys[:, most:] = rows
        for line, chunk in zip(keys, chunks, strict=True):
            line[: seen[chunk]] = stored[stored_offsets[chunk] : stored_offsets[chunk + 1]]
        real = inside < lengths[chunks][:, None]
        back[rows[real]] = padded + np.flatnonzero(real)
        padded += rows.size
        own_ends = plan.own_ends[rows] - plan.row_offsets[chunks][:, None]
        sent = [torch.from_numpy(x).to(device) for x in (rows, keys, seen[chunks], own_ends)]
        groups.append(Group(sent[0], sent[1], sent[2], sent[3], plan.context_bias))
    return Chunks(
        tuple(groups), torch.from_numpy(plan.positions).to(device), torch.from_numpy(back).to(device)
    )


def chunk_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    chunks: Chunks,
    sliding_window: int | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """query [1, Hq, T, D], key and value [1, Hk, T, D] → [1, T, Hq, D]."""
    heads, _rows, dim = query.shape[1:]
    kv = key.shape[1]
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))  # [T, H, D]
    pieces = []
    for group in chunks.groups:
        batch, length = group.rows.shape
        # Query heads that share a key head become rows of it, so that no key is repeated.
        rows = picked(q, group.rows).view(batch, length, kv, heads // kv, dim).permute(0, 2, 3, 1, 4)
        keys, values = (picked(x, group.keys).transpose(1, 2) for x in (k, v))
        mask = group.mask(chunks.positions, query, heads // kv, sliding_window)
        attended = _attend(rows.flatten(2, 3), keys, values, mask, scaling)
        pieces.append(
            attended.view(batch, kv, -1, length, dim).permute(0, 3, 1, 2, 4).reshape(-1, heads, dim)
        )
    return torch.cat(pieces).index_select(0, chunks.back)[None], None


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scaling: float) -> Tensor:
    """query [B, Hk, R, D], key and value [B, Hk, K, D], mask [B, 1, R, K] → [B, Hk, R, D].

    In bfloat16 on a CPU by plain products: forward and backward, torch's kernel takes two to three times as long.
    """
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        return ((query * scaling) @ key.transpose(-1, -2) + mask).softmax(-1) @ value
    return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling)


def _alike(lengths: Ints, seen: Ints) -> list[Ints]:
    """Chunks that are padded to one shape: within a factor of two in rows and in keys."""
    shapes: dict[tuple[int, int], list[int]] = {}
    for chunk, (rows, keys) in enumerate(zip(lengths.tolist(), seen.tolist(), strict=True)):
        shapes.setdefault((rows.bit_length(), keys.bit_length()), []).append(chunk)
    groups = []
    for (rows, keys), chunks in shapes.items():
        each = max(1, _MOST_SCORES >> (rows + max(rows, keys)))
        groups += [np.asarray(chunks[first : first + each]) for first in range(0, len(chunks), each)]
    return groups


def _ranges(starts: Ints, lengths: Ints) -> Ints:
    """start, start + 1, … of each length, end to end."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - ends + lengths, lengths) + np.arange(int(lengths.sum()))
