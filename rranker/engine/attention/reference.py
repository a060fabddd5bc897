"""The oracle: one dense mask over all stored and own keys. Slow, plain, and easy to believe."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor

from ..batch import Batch, Ints
from ..kv.cache import KVCache
from ..transfer import Transfer
from .writes import StoreWrites


def stored_keys(batch: Batch) -> tuple[Ints, Ints]:
    """Slots of all segments of the batch, end to end, and the RoPE position of each."""
    if not len(batch.segment_starts):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    starts, lengths, positions = batch.segment_starts, batch.segment_lengths, batch.segment_positions
    slots = np.concatenate([np.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)])
    return slots, np.concatenate([np.arange(p, p + n) for p, n in zip(positions, lengths, strict=True)])


def dense_mask(batch: Batch, window: int | None) -> np.ndarray:
    """Bool [T, stored + T]: may the row see the key? First the stored keys of `stored_keys`, then the rows' own."""
    _, stored_positions = stored_keys(batch)
    ends = np.cumsum(batch.segment_lengths)
    begins = ends - batch.segment_lengths
    stored = len(stored_positions)
    mask = np.zeros((batch.rows, stored + batch.rows), dtype=bool)
    for chunk in range(batch.chunks):
        first, last = batch.row_offsets[chunk], batch.row_offsets[chunk + 1]
        for segment in batch.visible[batch.visible_offsets[chunk] : batch.visible_offsets[chunk + 1]]:
            mask[first:last, begins[segment] : ends[segment]] = True
        own = np.arange(first, last)[None, :] < batch.own_ends[first:last, None]
        mask[first:last, stored + first : stored + last] = own
    if window is not None:
        key_positions = np.concatenate([stored_positions, batch.positions])
        mask &= np.abs(batch.positions[:, None] - key_positions[None, :]) < window
    return mask


class _Step:
    def __init__(
        self, batch: Batch, store: KVCache, transfer: Transfer, windows: Collection[int | None]
    ) -> None:
        self._batch, self._store = batch, store
        self._writes = StoreWrites(batch, store, transfer)
        self._slots = transfer.add(stored_keys(batch)[0])
        self._masks = {window: transfer.add(dense_mask(batch, window)) for window in set(windows)}

    def __call__(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float, window: int | None
    ) -> Tensor:
        self._writes(layer, key, value)
        if len(self._slots):
            stored_key, stored_value = self._store.read(layer, self._slots)
            key = torch.cat([stored_key[None], key], dim=2)
            value = torch.cat([stored_value[None], value], dim=2)
        groups = query.shape[1] // key.shape[1]
        key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
        scores = (query @ key.transpose(2, 3)).float() * scaling
        scores[..., : len(self._slots)] += self._batch.context_bias
        scores = scores.masked_fill(~self._masks[window], float("-inf"))
        return (scores.softmax(-1).to(value.dtype) @ value).transpose(1, 2).contiguous()


class ReferenceAttention:
    """See `protocol.AttentionBackend`."""

    kernels = False

    def prepare(
        self, batch: Batch, store: KVCache, transfer: Transfer, windows: Collection[int | None]
    ) -> _Step:
        """See `AttentionBackend`."""
        return _Step(batch, store, transfer, windows)
