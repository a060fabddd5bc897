"""A step of any backend but the reference: keys are stored, then each row attends, within its layer's window."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from ..batch import Batch
from ..kv.cache import KVCache
from ..transfer import Transfer
from .windows import Block, blocks, cut_chunks, some_chunks
from .writes import Index, KernelWrites, StoreWrites, as_index


class Attend(Protocol):
    """A backend's own work: all rows of one batch over all that they see, as long as no window cuts it."""

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
        """As `protocol.StepAttention`; the keys that the batch stores are in the store already."""
        ...


@dataclass(frozen=True, slots=True)
class _Uncut:
    """The rows no window cuts, and the backend's work for them. All rows of the step: a full slice."""

    rows: Index
    attend: Attend


@dataclass(frozen=True, slots=True)
class _Masked:
    """A `windows.Block` on the device: its mask is [rows, keys], bool, or what is added to the scores."""

    rows: slice
    own: slice
    slots: Index
    mask: Tensor


class Step:
    """See `protocol.StepAttention`. Each window is planned once, for all layers that have it.

    Chunks that a window does not cut go the backend's own way, `prepare`d for them alone; so what is beside them in
    the step changes nothing for them. The others are masked block by block, whose number and size grow with the
    rows of the step and never with its square.
    """

    def __init__(
        self,
        batch: Batch,
        store: KVCache,
        transfer: Transfer,
        windows: Collection[int | None],
        prepare: Callable[[Batch], Attend],
        writes: type[StoreWrites] | type[KernelWrites] = StoreWrites,
    ) -> None:
        self._batch, self._store, self._transfer, self._prepare = batch, store, transfer, prepare
        self._writes = writes(batch, store, transfer)
        ends = batch.segment_positions + batch.segment_lengths
        self._span = int(max(batch.positions.max() + 1, ends.max(initial=0)))
        reaching = {self._reaching(window) for window in windows}
        self._work = {window: self._planned(window) for window in reaching}

    def __call__(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float, window: int | None
    ) -> Tensor:
        """As `protocol.StepAttention`."""
        self._writes(layer, key, value)
        uncut, masked = self._work[self._reaching(window)]
        if uncut is not None and not masked:
            return uncut.attend(layer, query, key, value, scaling=scaling)
        out = query.new_empty(1, query.shape[2], query.shape[1], value.shape[3])
        if uncut is not None:
            parts = (x[:, :, uncut.rows] for x in (query, key, value))
            out[:, uncut.rows] = uncut.attend(layer, *parts, scaling=scaling)
        for block in masked:
            self._attend(block, layer, query[0], key[0], value[0], scaling, out[0])
        return out

    def _reaching(self, window: int | None) -> int | None:
        return None if window is None or window >= self._span else window

    def _planned(self, window: int | None) -> tuple[_Uncut | None, list[_Masked]]:
        cut = np.zeros(self._batch.chunks, dtype=bool) if window is None else cut_chunks(self._batch, window)
        if window is None or not cut.any():
            return _Uncut(slice(None), self._prepare(self._batch)), []
        uncut = None
        if not cut.all():
            part, rows = some_chunks(self._batch, np.flatnonzero(~cut))
            uncut = _Uncut(as_index(rows, self._transfer), self._prepare(part))
        masked = [
            _Masked(
                slice(block.first, block.last),
                slice(block.own, block.own_last),
                as_index(block.slots, self._transfer),
                self._mask(block),
            )
            for block in blocks(self._batch, window, np.flatnonzero(cut))
        ]
        return uncut, masked

    def _mask(self, block: Block) -> Tensor:
        if not self._batch.context_bias:
            return self._transfer.add(block.visible)
        added = np.zeros(block.visible.shape, dtype=np.float32)
        added[:, : len(block.slots)] = self._batch.context_bias
        added[~block.visible] = -np.inf
        return self._transfer.add(added)

    def _attend(
        self,
        block: _Masked,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scaling: float,
        out: Tensor,
    ) -> None:
        keys, values = key[:, block.own], value[:, block.own]
        if block.mask.shape[1] > keys.shape[1]:
            stored_keys, stored_values = self._store.read(layer, block.slots)
            keys, values = torch.cat([stored_keys, keys], 1), torch.cat([stored_values, values], 1)
        # The query heads of a KV head are the heads of one batch entry, so that no key is copied for them.
        groups, rows = query.shape[0] // keys.shape[0], query[:, block.rows]
        grouped = rows.reshape(-1, groups, *rows.shape[1:])  # [kv_heads, groups, rows, D]
        keys, values = (x[:, None].expand(-1, groups, -1, -1) for x in (keys, values))
        mask = block.mask if block.mask.dtype == torch.bool else block.mask.to(query.dtype)
        mixed = scaled_dot_product_attention(grouped, keys, values, attn_mask=mask, scale=scaling)
        out[block.rows] = mixed.flatten(0, 1).transpose(0, 1)
