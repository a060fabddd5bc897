"""What an attention backend is: it prepares a batch once, then serves every layer of the forward pass."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from torch import Tensor

from ..batch import Batch
from ..kv.cache import KVCache
from ..transfer import Transfer


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

    def prepare(
        self, batch: Batch, store: KVCache, transfer: Transfer, windows: Collection[int | None]
    ) -> StepAttention:
        """Works out once, before the forward pass, what every layer needs; `windows`: those that layers have.

        It travels with `transfer`, which is sent afterwards: nothing is copied to the device layer by layer.
        """
        ...
