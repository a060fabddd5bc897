"""Attention through a varlen function (torch's own, or flash-attn's), which takes sequences of any lengths end to end.

It wants the keys of its sequences end to end, too, so the seen slots are gathered once per layer; the Triton backend
reads them in place.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..batch import Batch
from ..errors import SettingError
from ..kv.cache import KVCache
from ..transfer import Transfer
from .step import Step
from .two_parts import Ragged, Shared, TwoParts


class Varlen(Protocol):
    """A varlen function, whoever it is of."""

    name: str

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, ragged: Ragged, scaling: float, *, causal: bool
    ) -> tuple[Tensor, Tensor]:
        """[rows, heads, D] of mixed values, and their natural log-sum-exp [rows, heads], fp32."""
        ...


class FlashVarlen:
    """flash-attn's. `function`: flash_attn.flash_attn_varlen_func."""

    name = "flash-attn"

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, ragged: Ragged, scaling: float, *, causal: bool
    ) -> tuple[Tensor, Tensor]:
        """See `Varlen`."""
        out, lse, _ = self._function(
            query,
            key,
            value,
            cu_seqlens_q=ragged.queries,
            cu_seqlens_k=ragged.keys,
            max_seqlen_q=ragged.longest_query,
            max_seqlen_k=ragged.longest_key,
            softmax_scale=scaling,
            causal=causal,
            return_attn_probs=True,  # the only way to be given the log-sum-exp
        )
        return out, lse.transpose(0, 1)


class TorchVarlen:
    """torch's own. `function`: torch.nn.attention.varlen.varlen_attn; `aux`: its AuxRequest."""

    name = "torch's varlen_attn"

    def __init__(self, function: Callable[..., Any], aux: Callable[..., Any]) -> None:
        self._function, self._aux = function, aux(lse=True)
        # 2.11 takes fewer KV heads than query heads as they come; later versions want to be told.
        told = "enable_gqa" in inspect.signature(function).parameters
        self._grouped = {"enable_gqa": True} if told else {}

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, ragged: Ragged, scaling: float, *, causal: bool
    ) -> tuple[Tensor, Tensor]:
        """See `Varlen`."""
        out, lse = self._function(
            query,
            key,
            value,
            ragged.queries,
            ragged.keys,
            ragged.longest_query,
            ragged.longest_key,
            return_aux=self._aux,
            scale=scaling,
            window_size=(-1, 0) if causal else (-1, -1),
            **self._grouped,
        )
        return out, lse.transpose(0, 1)  # [heads, rows], whatever its documentation says


class _Calls:
    """See `two_parts.Calls`."""

    def __init__(self, batch: Batch, store: KVCache, transfer: Transfer, varlen: Varlen) -> None:
        self._store, self._varlen, self._causal = store, varlen, not batch.bidirectional
        lengths = np.diff(batch.row_offsets)
        self._chunks = Ragged.of(lengths, lengths, transfer)
        self.name = varlen.name

    def own(self, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> tuple[Tensor, Tensor]:
        """See `two_parts.Calls`."""
        return self._varlen(query, key, value, self._chunks, scaling, causal=self._causal)

    def stored(self, layer: int, query: Tensor, shared: Shared, scaling: float) -> tuple[Tensor, Tensor]:
        """See `two_parts.Calls`."""
        keys, values = (x.transpose(0, 1) for x in self._store.read(layer, shared.slots))
        return self._varlen(query, keys, values, shared.ragged, scaling, causal=False)


class VarlenAttention:
    """See `protocol.AttentionBackend`. CUDA and ROCm, float16 and bfloat16, head sizes up to 256."""

    kernels = False

    def __init__(self, varlen: Varlen | None = None) -> None:
        """None is torch's own, which runs on GPUs."""
        self._anywhere = varlen is not None
        self._varlen = _torch() if varlen is None else varlen

    def prepare(
        self, batch: Batch, store: KVCache, transfer: Transfer, windows: Collection[int | None]
    ) -> Step:
        """See `AttentionBackend`. Raises SettingError on a device that the function does not run on."""
        on = transfer.device.type
        if on != "cuda" and not self._anywhere:
            raise SettingError(f"the 'varlen' attention backend runs on CUDA and ROCm, not on {on}")

        def attend(part: Batch) -> TwoParts:
            return TwoParts(part, transfer, _Calls(part, store, transfer, self._varlen))

        return Step(batch, store, transfer, windows, attend)


def flash_or_torch() -> VarlenAttention:
    """flash-attn's function where it is installed, else torch's."""
    try:
        from flash_attn import flash_attn_varlen_func
    except ModuleNotFoundError as error:
        if error.name != "flash_attn":  # installed, but something it needs is not
            raise
        return VarlenAttention()
    return VarlenAttention(FlashVarlen(flash_attn_varlen_func))


def _torch() -> Varlen:
    try:
        from torch.nn.attention.varlen import AuxRequest, varlen_attn
    except ImportError as error:
        raise ImportError(
            f"the 'varlen' attention backend needs torch.nn.attention.varlen, of torch 2.11 or newer, and this is "
            f"{torch.__version__}"
        ) from error
    return TorchVarlen(varlen_attn, AuxRequest)
