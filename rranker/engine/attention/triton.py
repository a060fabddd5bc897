"""Attention through the Triton kernel: stored keys are read in place, and no mask is ever built."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor

from rranker.kernels.attention.work import AttentionMetadata

from ..batch import Batch
from ..errors import SettingError
from ..kv.cache import KVCache
from ..transfer import Transfer
from .step import Step
from .triton_metadata import attention_metadata
from .writes import KernelWrites

Kind = tuple[int, int, int]
"""Query heads per KV head, KV heads, rows of a tile: models rarely have more than one kind of layer."""


class _Attend:
    """See `step.Attend`. `kinds`: of the layers of earlier steps, whose work is planned before the forward pass."""

    def __init__(self, batch: Batch, store: KVCache, transfer: Transfer, kinds: set[Kind]) -> None:
        self._batch, self._store, self._on, self._kinds = batch, store, transfer.device, kinds
        self._work = {kind: _planned(batch, kind, transfer) for kind in kinds}
        self._words: dict[Kind, Tensor] = {}

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
        from rranker.kernels.attention.kernel import attention

        heads, rows, size = query.shape[1:]
        own_key, own_value = key[0], value[0]
        stored_key, stored_value = own_key, own_value  # nobody reads them when no segment is stored
        if len(self._batch.segment_starts):
            stored_key, stored_value = self._store.read(layer, slice(0, self._store.slots))
        out = query.new_empty(rows, heads, size)
        work, words = self._for(query, len(own_key))
        tensors = query[0], own_key, own_value, stored_key, stored_value
        attention(*tensors, work, words, out, scaling, self._batch.context_bias)
        return out[None]

    def _for(self, query: Tensor, kv_heads: int) -> tuple[AttentionMetadata, Tensor]:
        from rranker.kernels.launch import attention_tile

        kind = query.shape[1] // kv_heads, kv_heads, attention_tile(query).block_m
        if kind not in self._work:  # in the first step only
            late = Transfer(self._on)
            self._work[kind] = _planned(self._batch, kind, late)
            late.send()
            self._kinds.add(kind)
        if kind not in self._words:
            self._words[kind] = self._work[kind].key_words()
        return self._work[kind], self._words[kind]


def _planned(batch: Batch, kind: Kind, transfer: Transfer) -> AttentionMetadata:
    work = attention_metadata(batch, *kind)
    return work.over(transfer.add(work.flat.numpy()))


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
        self.kinds = set[Kind]()
        """Of the layers that earlier steps have shown."""

    def prepare(
        self, batch: Batch, store: KVCache, transfer: Transfer, windows: Collection[int | None]
    ) -> Step:
        """See `AttentionBackend`. Raises ValueError on a device that Triton's kernels do not run on."""
        on = transfer.device.type
        if on != "cuda" and not self._interpreted:
            raise SettingError(f"the 'triton' attention backend runs on CUDA and ROCm, not on {on}")
        return Step(
            batch,
            store,
            transfer,
            windows,
            lambda part: _Attend(part, store, transfer, self.kinds),
            KernelWrites,
        )
