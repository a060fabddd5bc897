"""Keys and values of stored tokens: one slab of token slots per layer."""

from __future__ import annotations

import torch
from torch import Tensor

from .allocator import SlotAllocator


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
        for slab, rows in zip(self.slabs(layer, keys, values), (keys, values), strict=True):
            if isinstance(slots, slice):
                slab[:, slots] = rows
            else:
                slab.index_copy_(1, slots, rows)

    def slabs(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """A layer's keys and values, [kv_heads, slots, head_dim]; reserved for rows like these when there are none."""
        stored_keys, stored_values = self._keys[layer], self._values[layer]
        if stored_keys is None or stored_values is None:
            stored_keys, stored_values = self._like(keys), self._like(values)
            self._keys[layer], self._values[layer] = stored_keys, stored_values
        return stored_keys, stored_values

    def _like(self, rows: Tensor) -> Tensor:
        return torch.empty(rows.shape[0], self.slots, rows.shape[2], dtype=rows.dtype, device=rows.device)

    def read(self, layer: int, slots: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Keys and values [kv_heads, len(slots), head_dim]; a slice reads in place, without a copy."""
        keys, values = self._keys[layer], self._values[layer]
        if keys is None or values is None:
            raise ValueError(f"layer {layer} holds no keys yet")
        if isinstance(slots, slice):
            return keys[:, slots], values[:, slots]
        return keys.index_select(1, slots), values.index_select(1, slots)
