"""Attention through the Triton kernels: stored keys are read in place, and no mask is ever built."""

from __future__ import annotations

import torch
from torch import Tensor

from ..batch import Batch
from ..errors import SettingError
from ..kv.cache import KVCache
from .step import Step
from .triton_metadata import AttentionMetadata, attention_metadata


class _Attend:
    """See `step.Attend`."""

    def __init__(self, batch: Batch, store: KVCache, on: torch.device) -> None:
        self._batch, self._store, self._on = batch, store, on
        # By (query heads per KV head, rows of each kernel's tiles): models rarely have more than one kind of layer.
        self._work: dict[tuple[int, int, int], AttentionMetadata] = {}

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
        from rranker.kernels.attention.decode import decode
        from rranker.kernels.attention.prefill import prefill

        heads, rows, size = query.shape[1:]
        own_key, own_value = key[0], value[0]
        stored_key, stored_value = own_key, own_value  # nobody reads them when no segment is stored
        if len(self._batch.segment_starts):
            stored_key, stored_value = self._store.read(layer, slice(0, self._store.slots))
        out = query.new_empty(rows, heads, size)
        work = self._for(query, heads // key.shape[1])
        tensors, bias = (query[0], own_key, own_value, stored_key, stored_value), self._batch.context_bias
        if work.prefill is not None:
            prefill(*tensors, work.prefill, out, scaling, bias)
        if work.decode is not None:
            decode(*tensors, work.decode, out, scaling, bias)
        return out[None]

    def _for(self, query: Tensor, groups: int) -> AttentionMetadata:
        from rranker.kernels.launch import attention_tile

        rows = (attention_tile("prefill", query).block_m, attention_tile("decode", query).block_m)
        kind = groups, *rows
        if kind not in self._work:
            self._work[kind] = attention_metadata(self._batch, *kind, self._on)
        return self._work[kind]


class TritonAttention:
    """See `protocol.AttentionBackend`. CUDA and ROCm; on a CPU only under TRITON_INTERPRET=1, for tests."""

    kernels = True

    def __init__(self) -> None:
        try:
            import triton
        except ModuleNotFoundError as error:
            if error.name != "triton":  # installed, but something it needs is not
                raise
            raise ImportError(
                "the 'triton' attention backend needs Triton: pip install 'rranker[triton]'"
            ) from error
        self._interpreted = bool(triton.knobs.runtime.interpret)

    def prepare(self, batch: Batch, store: KVCache, on: torch.device) -> Step:
        """See `AttentionBackend`. Raises ValueError on a device that Triton's kernels do not run on."""
        if on.type != "cuda" and not self._interpreted:
            raise SettingError(f"the 'triton' attention backend runs on CUDA and ROCm, not on {on.type}")
        return Step(batch, store, on, lambda part: _Attend(part, store, on))
