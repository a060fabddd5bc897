"""Attention as a few dense SDPA pieces, merged by log-sum-exp: no T×T mask, no copy of a shared prefix.

Each row attends in two parts. *Self*: its own chunk, causally or wholly; chunks of similar length run as one padded
batch. *Shared*: the stored segments its chunk sees; all rows of chunks with the same visible set run as one
call with the query heads of a KV head packed into rows, and small chunks of one query with differing sets
(the copies of a speculated suffix) run as one masked call over the union of what they see.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rranker import _C

from ..batch import Batch, Ints
from ..kv.cache import KVCache
from ..transfer import Transfer
from .step import Step
from .writes import Index, as_index

# SDPA's public function does not return the log-sum-exp.
_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001
# A visible set with this many rows is worth a call of its own; fewer rows share one masked call.
_OWN_CALL_ROWS = 64
# Chunks share a padded batch while the shortest is at least this share of the longest.
_PAD_LIMIT = 0.7


@dataclass(frozen=True, slots=True)
class _SelfPart:
    """Chunks padded to one length: `gather` [batch * length] rows, of which `valid` land in `rows`.

    `padding` [batch, 1, 1, length] marks the keys that are none, where causality does not keep them out.
    """

    gather: Index
    batch: int
    valid: Tensor | None
    rows: Index
    causal: bool
    padding: Tensor | None


@dataclass(frozen=True, slots=True)
class _SharedPart:
    """`rows` against the stored `keys`; `hidden` [rows, keys] marks the keys a row must not see."""

    rows: Index
    keys: Index
    hidden: Tensor | None


class _Attend:
    """See `step.Attend`."""

    def __init__(self, batch: Batch, store: KVCache, transfer: Transfer) -> None:
        self._store, self._context_bias = store, batch.context_bias
        self._self_parts = _self_parts(batch, transfer)
        self._shared_parts = _shared_parts(batch, transfer)
        self._bias: dict[int, Tensor] = {}

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
        heads, rows, size = query.shape[1:]
        out = query.new_empty(rows, heads, size)
        lse = query.new_empty(rows, heads, dtype=torch.float32)
        for part in self._self_parts:
            self._attend_self(part, query[0], key[0], value[0], scaling, out, lse)
        for place, shared in enumerate(self._shared_parts):
            self._attend_shared(place, shared, layer, query[0], scaling, out, lse)
        return out[None]

    def _attend_self(
        self,
        part: _SelfPart,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scaling: float,
        out: Tensor,
        lse: Tensor,
    ) -> None:
        def padded(x: Tensor) -> Tensor:  # [heads, T, size] -> [batch, heads, length, size]
            rows = x.transpose(
                0, 1
            )  # as models make them: the heads of a row are adjacent, and copied at once
            rows = rows[part.gather] if isinstance(part.gather, slice) else rows.index_select(0, part.gather)
            return rows.view(part.batch, -1, *rows.shape[1:]).transpose(1, 2)

        bias = None
        if part.padding is not None:
            bias = query.new_zeros(part.padding.shape).masked_fill_(part.padding, -torch.inf)
        mixed, norm = _flash(
            padded(query), padded(key), padded(value), 0.0, part.causal, attn_mask=bias, scale=scaling
        )
        mixed = mixed.transpose(1, 2).flatten(0, 1)  # [batch * length, heads, size]
        norm = norm.transpose(1, 2).flatten(0, 1)
        if part.valid is not None:
            mixed, norm = mixed[part.valid], norm[part.valid]
        out[part.rows] = mixed
        lse[part.rows] = norm.float()

    def _attend_shared(
        self,
        index: int,
        part: _SharedPart,
        layer: int,
        query: Tensor,
        scaling: float,
        out: Tensor,
        lse: Tensor,
    ) -> None:
        keys, values = self._store.read(layer, part.keys)
        heads, groups = keys.shape[0], query.shape[0] // keys.shape[0]
        rows = query[:, part.rows]
        count = rows.shape[1]
        packed = rows.reshape(1, heads, groups * count, -1)
        bias = None
        if part.hidden is not None:
            if index not in self._bias:
                bias = query.new_zeros(count, part.hidden.shape[1])
                bias.masked_fill_(part.hidden, float("-inf"))
                self._bias[index] = bias.repeat(groups, 1)[None, None]
            bias = self._bias[index]
        mixed, norm = _flash(packed, keys[None], values[None], 0.0, False, attn_mask=bias, scale=scaling)
        mixed = mixed.reshape(heads * groups, count, -1).transpose(0, 1)
        norm = norm.reshape(heads * groups, count).transpose(0, 1).float()
        norm += self._context_bias  # on every score of the part: its mean of values stays, its weight changes
        # softmax over both parts: weights exp(lse) of each, normalised
        share = torch.sigmoid(norm - lse[part.rows])[..., None].to(out.dtype)
        out[part.rows] = torch.lerp(out[part.rows], mixed, share)


def _self_parts(batch: Batch, transfer: Transfer) -> list[_SelfPart]:
    lengths = np.diff(batch.row_offsets)
    order = np.argsort(-lengths, kind="stable")
    parts, begin = [], 0
    while begin < len(order):
        longest = int(lengths[order[begin]])
        end = begin + int(np.count_nonzero(lengths[order[begin:]] >= _PAD_LIMIT * longest))
        chunks = np.sort(order[begin:end])
        steps = np.arange(longest)
        inside = steps[None, :] < lengths[chunks][:, None]
        # A padded place repeats the chunk's last row: causality keeps it out of every real one, else `padding` does.
        gather = batch.row_offsets[chunks][:, None] + np.minimum(steps[None, :], lengths[chunks][:, None] - 1)
        valid = padding = None
        if not inside.all():
            valid = transfer.add(np.flatnonzero(inside))
            padding = transfer.add(~inside)[:, None, None] if batch.bidirectional else None
        rows, causal = as_index(gather[inside], transfer), not batch.bidirectional
        parts.append(_SelfPart(as_index(gather.ravel(), transfer), len(chunks), valid, rows, causal, padding))
        begin = end
    return parts


def _shared_parts(batch: Batch, transfer: Transfer) -> list[_SharedPart]:
    sets: dict[tuple[int, bytes], list[int]] = {}
    for chunk in range(batch.chunks):
        seen = batch.visible[batch.visible_offsets[chunk] : batch.visible_offsets[chunk + 1]]
        if batch.segment_lengths[seen].any():
            sets.setdefault((int(batch.query_indices[chunk]), seen.tobytes()), []).append(chunk)
    parts: list[_SharedPart] = []
    small: dict[int, list[int]] = {}
    for (query_index, _), chunks in sets.items():
        rows = _rows(batch, chunks)
        if len(rows) >= _OWN_CALL_ROWS:
            parts.append(
                _SharedPart(
                    as_index(rows, transfer), as_index(_slots(batch, _seen(batch, chunks[0])), transfer), None
                )
            )
        else:
            small.setdefault(query_index, []).extend(chunks)
    for chunks in [run for every in small.values() for run in _runs(batch, every)]:
        rows = _rows(batch, chunks)
        if len({_seen(batch, chunk).tobytes() for chunk in chunks}) == 1:
            union, hidden = _seen(batch, chunks[0]), None
        else:
            union = np.unique(np.concatenate([_seen(batch, chunk) for chunk in chunks]))
            union = union[np.argsort(batch.segment_starts[union], kind="stable")]
            hidden = transfer.add(
                _C.hidden_keys(
                    np.asarray(chunks),
                    union,
                    batch.row_offsets,
                    batch.visible,
                    batch.visible_offsets,
                    batch.segment_lengths,
                )
            )
        parts.append(_SharedPart(as_index(rows, transfer), as_index(_slots(batch, union), transfer), hidden))
    return parts


def _runs(batch: Batch, chunks: list[int]) -> Iterator[list[int]]:
    """Cut so that a run has no more rows than `_OWN_CALL_ROWS`: a mask then grows with what is seen, not its square."""
    run, rows = list[int](), 0
    for chunk in chunks:
        count = int(batch.row_offsets[chunk + 1] - batch.row_offsets[chunk])
        if run and rows + count > _OWN_CALL_ROWS:
            yield run
            run, rows = [], 0
        run.append(chunk)
        rows += count
    yield run


def _seen(batch: Batch, chunk: int) -> Ints:
    return batch.visible[batch.visible_offsets[chunk] : batch.visible_offsets[chunk + 1]]


def _rows(batch: Batch, chunks: list[int]) -> Ints:
    return np.concatenate([np.arange(batch.row_offsets[c], batch.row_offsets[c + 1]) for c in chunks])


def _slots(batch: Batch, segments: Ints) -> Ints:
    starts, lengths = batch.segment_starts[segments], batch.segment_lengths[segments]
    return np.concatenate([np.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)])


class CpuAttention:
    """See `protocol.AttentionBackend`."""

    kernels = False

    def prepare(
        self, batch: Batch, store: KVCache, transfer: Transfer, windows: Collection[int | None]
    ) -> Step:
        """See `AttentionBackend`."""
        return Step(batch, store, transfer, windows, lambda part: _Attend(part, store, transfer))
