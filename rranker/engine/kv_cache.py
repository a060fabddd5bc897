"""The KV store: one slab of token slots per layer, handed out as contiguous extents under a hard budget."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(slots=True)
class SlotAllocator:
    """First-fit allocation of contiguous runs in `[start, start + capacity)`; freed neighbours merge."""

    start: int
    capacity: int
    _free: list[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self._free = [(self.start, self.capacity)] if self.capacity else []

    @property
    def free(self) -> int:
        """Slots that nobody holds, in all runs together."""
        return sum(length for _, length in self._free)

    def allocate(self, length: int) -> int | None:
        """The first slot of a free run of `length` slots, or None when there is none."""
        for place, (start, room) in enumerate(self._free):
            if room >= length:
                self._free[place : place + 1] = [(start + length, room - length)] if room > length else []
                return start
        return None

    def release(self, start: int, length: int) -> None:
        """Gives a run of slots back. Raises ValueError for slots that are free already."""
        runs = sorted([*self._free, (start, length)])
        merged: list[tuple[int, int]] = []
        for begin, size in runs:
            if merged and merged[-1][0] + merged[-1][1] > begin:
                raise ValueError(f"slots {begin}..{begin + size - 1} were released twice")
            if merged and merged[-1][0] + merged[-1][1] == begin:
                merged[-1] = (merged[-1][0], merged[-1][1] + size)
            else:
                merged.append((begin, size))
        self._free = merged


class KVCache:
    """Keys and values of every stored token, `[layers][kv_heads, slots, head_dim]`.

    The slabs are reserved at once and never grow, so nothing can run out of memory half-way; how much of a
    layer's head size it needs is learnt from the first keys written.
    """

    def __init__(self, layers: int, slots: int) -> None:
        if slots < 1:
            raise ValueError(f"the token budget must be at least 1, not {slots}")
        self.slots = slots
        self.allocator = SlotAllocator(0, slots)
        self._keys: list[Tensor | None] = [None] * layers
        self._values: list[Tensor | None] = [None] * layers

    def write(self, layer: int, slots: Tensor | slice, keys: Tensor, values: Tensor) -> None:
        """Stores `keys`, `values` [kv_heads, rows, head_dim] at `slots` (one per row)."""
        if self._keys[layer] is None:
            for slab, rows in ((self._keys, keys), (self._values, values)):
                slab[layer] = torch.empty(
                    rows.shape[0], self.slots, rows.shape[2], dtype=rows.dtype, device=rows.device
                )
        for slab, rows in ((self._keys, keys), (self._values, values)):
            target = slab[layer]
            assert target is not None
            if isinstance(slots, slice):
                target[:, slots] = rows
            else:
                target.index_copy_(1, slots, rows)

    def read(self, layer: int, slots: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Keys and values [kv_heads, len(slots), head_dim]; a slice reads in place, without a copy."""
        keys, values = self._keys[layer], self._values[layer]
        if keys is None or values is None:
            raise ValueError(f"layer {layer} holds no keys yet")
        if isinstance(slots, slice):
            return keys[:, slots], values[:, slots]
        return keys.index_select(1, slots), values.index_select(1, slots)
