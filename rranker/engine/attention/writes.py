"""Which rows of a step go to which slots of the store: worked out once, applied in every layer."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ..batch import Batch, Ints
from ..kv.cache import KVCache
from ..transfer import Transfer

Index = Tensor | slice
"""Rows or slots: a slice when they are contiguous (no copy), else an index tensor."""


def as_index(values: Ints, transfer: Transfer) -> Index:
    """`values` as a slice when they count up by one, else as a tensor that travels to the device."""
    if len(values) and values[-1] - values[0] == len(values) - 1 and bool(np.all(np.diff(values) == 1)):
        return slice(int(values[0]), int(values[-1]) + 1)
    return transfer.add(values)


class StoreWrites:
    """Writes a step's new keys and values into the store, for the rows that have a slot.

    On a CPU run by run, since copying a run is ten times as fast as scattering it; elsewhere in one scatter.
    """

    def __init__(self, batch: Batch, store: KVCache, transfer: Transfer) -> None:
        rows = np.flatnonzero(batch.write_slots >= 0)
        slots = batch.write_slots[rows]
        self._store = store
        breaks = np.zeros(0, dtype=np.int64)
        if transfer.device.type == "cpu":
            breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(slots) != 1)) + 1
        self._runs = [
            (as_index(some_rows, transfer), as_index(some_slots, transfer))
            for some_rows, some_slots in zip(np.split(rows, breaks), np.split(slots, breaks), strict=True)
            if len(some_rows)
        ]

    def __call__(self, layer: int, key: Tensor, value: Tensor) -> None:
        """key, value: [1, kv_heads, T, head_dim]."""
        for rows, slots in self._runs:
            self._store.write(layer, slots, key[0][:, rows], value[0][:, rows])


class KernelWrites:
    """As `StoreWrites`, in one launch of a kernel."""

    def __init__(self, batch: Batch, store: KVCache, transfer: Transfer) -> None:
        rows = np.flatnonzero(batch.write_slots >= 0).astype(np.int32)
        self._store, self._some = store, len(rows) > 0
        self._rows = transfer.add(rows)
        self._slots = transfer.add(batch.write_slots[rows].astype(np.int32))

    def __call__(self, layer: int, key: Tensor, value: Tensor) -> None:
        """key, value: [1, kv_heads, T, head_dim]."""
        if self._some:
            from rranker.kernels.write.kernel import write

            slabs = self._store.slabs(layer, key[0], value[0])
            write(key[0], value[0], *slabs, self._rows, self._slots)
