"""What an attention backend is: it prepares a batch once, then serves every layer of the forward pass."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, device

from ..batch import Batch
from ..kv.cache import KVCache


class StepAttention(Protocol):
    """One step, prepared. Called once per layer, in order."""

    def __call__(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float, window: int | None
    ) -> Tensor:
        """Stores the rows' keys and values, then attends.

        query: [1, q_heads, T, head_dim]; key, value: [1, kv_heads, T, head_dim], after RoPE. With `window`,
        a row sees only keys fewer than `window` positions before it. Returns [1, T, q_heads, head_dim], contiguous
        (some models take a view of it).
        """
        ...


class AttentionBackend(Protocol):
    """Computes attention over a step's own rows and the stored segments they see."""

    kernels: bool
    """Whether it runs on the Triton kernels, so that the step's logits may be read through them too."""

    def prepare(self, batch: Batch, store: KVCache, on: device) -> StepAttention:
        """Works out once, on the device, what every layer of this batch's forward pass needs."""
