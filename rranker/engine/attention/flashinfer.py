"""Attention through FlashInfer, which reads stored keys in place: a slot is a page of one token.

Two calls of its prefill wrappers, over pages and over the rows' own keys. One call would do if every row had a page;
rows of questions are never stored.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..batch import Batch
from ..errors import SettingError
from ..kv.cache import KVCache
from ..transfer import Transfer
from .step import Step
from .two_parts import Shared, TwoParts
from .writes import Index

_WORKSPACE = 128 << 20
"""Bytes for parts of split sequences, as FlashInfer recommends; both wrappers take it in turn."""
Kind = tuple[int, int, int, torch.dtype, float]
"""Query heads, KV heads, head size, type and scale of a layer: what a plan is for, beside the step."""


class _Wrapper:
    """One of FlashInfer's wrappers. It holds one plan; whoever calls it and did not make that one plans anew."""

    def __init__(self, made: Any) -> None:
        self._made, self._planned_by = made, None

    def run(
        self, caller: Any, plan: tuple[Any, ...], causal: bool, kind: Kind, *tensors: Any
    ) -> tuple[Tensor, Tensor]:
        """Mixed values and their natural log-sum-exp; `plan`: all that `plan` takes before its keywords."""
        if self._planned_by is not caller:
            self._made.plan(*plan, causal=causal, sm_scale=kind[4], q_data_type=kind[3], kv_data_type=kind[3])
            self._planned_by = caller
        out, lse = self._made.run(*tensors, return_lse=True)
        return out, lse * math.log(2)  # FlashInfer's is in base 2


class _Wrappers:
    """The wrappers of a device, a pair for each kind of layer, over one workspace."""

    def __init__(self, package: Any) -> None:
        self._package = package
        self._workspace: Tensor | None = None
        self._made: dict[Kind, tuple[_Wrapper, _Wrapper]] = {}

    def of(self, kind: Kind, on: torch.device) -> tuple[_Wrapper, _Wrapper]:
        """Over pages, and over keys end to end."""
        if self._workspace is None or self._workspace.device != on:
            self._workspace, self._made = torch.empty(_WORKSPACE, dtype=torch.uint8, device=on), {}
        if kind not in self._made:
            paged = self._package.BatchPrefillWithPagedKVCacheWrapper(self._workspace, "HND")
            ragged = self._package.BatchPrefillWithRaggedKVCacheWrapper(self._workspace, "NHD")
            self._made[kind] = _Wrapper(paged), _Wrapper(ragged)
        return self._made[kind]


class _Calls:
    """See `two_parts.Calls`."""

    name = "FlashInfer"

    def __init__(self, batch: Batch, store: KVCache, wrappers: _Wrappers) -> None:
        self._store, self._wrappers, self._causal = store, wrappers, not batch.bidirectional
        self._offsets = torch.from_numpy(batch.row_offsets.astype(np.int32))

    def own(self, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> tuple[Tensor, Tensor]:
        """See `two_parts.Calls`."""
        kind = (query.shape[1], key.shape[1], key.shape[2], query.dtype, scaling)
        _, ragged = self._wrappers.of(kind, query.device)
        plan = (self._offsets, self._offsets, *kind[:3])
        tensors = (x.contiguous() for x in (query, key, value))
        return ragged.run(self, plan, self._causal, kind, *tensors)

    def stored(self, layer: int, query: Tensor, shared: Shared, scaling: float) -> tuple[Tensor, Tensor]:
        """See `two_parts.Calls`."""
        stored = self._store.read(layer, slice(0, self._store.slots))
        kind = (query.shape[1], stored[0].shape[0], stored[0].shape[2], query.dtype, scaling)
        paged, _ = self._wrappers.of(kind, query.device)
        queries, keys = shared.ragged.host
        last_page = torch.ones(len(keys) - 1, dtype=torch.int32, device="cpu")
        plan = (queries, keys, _pages(shared.slots, query.device), last_page, *kind[:3], 1)
        # [pages, kv_heads, 1, D], which is FlashInfer's layout HND: a view, by strides
        caches = tuple(x.transpose(0, 1).unsqueeze(2) for x in stored)
        return paged.run(self, plan, False, kind, query.contiguous(), caches)


def _pages(slots: Index, on: torch.device) -> Tensor:
    if isinstance(slots, slice):
        return torch.arange(slots.start, slots.stop, dtype=torch.int32, device=on)
    return slots.int()


class FlashInferAttention:
    """See `protocol.AttentionBackend`. CUDA, float16 and bfloat16, the head sizes that FlashInfer is built for."""

    kernels = False

    def __init__(self, package: Any = None) -> None:
        """`package`: the module flashinfer; None imports it."""
        self._anywhere = package is not None
        self._wrappers = _Wrappers(_import() if package is None else package)

    def prepare(
        self, batch: Batch, store: KVCache, transfer: Transfer, windows: Collection[int | None]
    ) -> Step:
        """See `AttentionBackend`. Raises SettingError on a device that FlashInfer does not run on."""
        on = transfer.device.type
        if not self._anywhere and (on != "cuda" or torch.version.hip is not None):
            raise SettingError(f"the 'flashinfer' attention backend runs on CUDA, not on {_name(on)}")

        def attend(part: Batch) -> TwoParts:
            return TwoParts(part, transfer, _Calls(part, store, self._wrappers))

        return Step(batch, store, transfer, windows, attend)


def _name(device: str) -> str:
    return "ROCm" if device == "cuda" else device


def _import() -> Any:
    try:
        import flashinfer
    except ModuleNotFoundError as error:
        if error.name != "flashinfer":  # installed, but something it needs is not
            raise
        raise ImportError(
            "the 'flashinfer' attention backend needs FlashInfer: pip install 'rranker[flashinfer]'"
        ) from error
    return flashinfer
