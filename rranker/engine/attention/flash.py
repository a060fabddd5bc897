"""Attention through flash-attn: one ragged call over what is stored, one over the rows' own keys, merged by LSE.

All rows of one query that see the same segments form one sequence of the first call, so a prefix is read once for
all the candidates that share it. flash-attn wants the keys of its sequences end to end, so the seen slots are
gathered once per layer; the Triton backend reads them in place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..batch import Batch, Ints
from ..errors import SettingError
from ..kv.cache import KVCache
from ..transfer import Transfer
from .step import Step
from .writes import Index, as_index

Varlen = Callable[..., Any]
"""flash_attn.flash_attn_varlen_func."""


@dataclass(frozen=True, slots=True)
class Ragged:
    """Cumulative lengths of the sequences of one varlen call, int32 [sequences + 1], and the longest ones."""

    queries: Tensor
    keys: Tensor
    longest_query: int
    longest_key: int

    @classmethod
    def of(cls, queries: Ints, keys: Ints, transfer: Transfer) -> Ragged:
        """From the lengths of each sequence."""

        def ends(lengths: Ints) -> Tensor:
            return transfer.add(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))

        return cls(ends(queries), ends(keys), int(queries.max()), int(keys.max()))


@dataclass(frozen=True, slots=True)
class Shared:
    """`rows` of the step and the `slots` they see, both sequence after sequence."""

    rows: Index
    slots: Index
    ragged: Ragged


def shared_part(batch: Batch, transfer: Transfer) -> Shared | None:
    """One sequence per query and set of segments seen; None when nothing stored is seen."""
    groups: dict[tuple[int, bytes], list[int]] = {}
    for chunk in range(batch.chunks):
        seen = batch.visible[batch.visible_offsets[chunk] : batch.visible_offsets[chunk + 1]]
        if batch.segment_lengths[seen].sum():
            groups.setdefault((int(batch.query_indices[chunk]), seen.tobytes()), []).append(chunk)
    if not groups:
        return None
    rows, slots = list[Ints](), list[Ints]()
    for (_, seen_bytes), chunks in groups.items():
        bounds = ((batch.row_offsets[chunk], batch.row_offsets[chunk + 1]) for chunk in chunks)
        rows.append(np.concatenate([np.arange(first, last) for first, last in bounds]))
        seen = np.frombuffer(seen_bytes, dtype=np.int64)
        extents = zip(batch.segment_starts[seen], batch.segment_lengths[seen], strict=True)
        slots.append(np.concatenate([np.arange(start, start + length) for start, length in extents]))
    lengths = [np.asarray([len(part) for part in parts]) for parts in (rows, slots)]
    return Shared(
        as_index(np.concatenate(rows), transfer),
        as_index(np.concatenate(slots), transfer),
        Ragged.of(lengths[0], lengths[1], transfer),
    )


class _Attend:
    """See `step.Attend`."""

    def __init__(self, batch: Batch, store: KVCache, transfer: Transfer, varlen: Varlen) -> None:
        self._store, self._varlen = store, varlen
        lengths = np.diff(batch.row_offsets)
        self._own = Ragged.of(lengths, lengths, transfer)
        self._causal, self._context_bias = not batch.bidirectional, batch.context_bias
        self._shared = shared_part(batch, transfer)

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
        if query.dtype not in (torch.float16, torch.bfloat16):
            raise SettingError(
                f"flash-attn computes in float16 and bfloat16, not {query.dtype}: use attention_backend='triton'"
            )
        rows, own_keys, own_values = (x[0].transpose(0, 1) for x in (query, key, value))  # [T, heads, D]
        out, lse = self._attend(rows, own_keys, own_values, self._own, scaling, causal=self._causal)
        if self._shared is not None:
            stored = self._store.read(layer, self._shared.slots)
            keys, values = (x.transpose(0, 1) for x in stored)
            queries = rows[self._shared.rows]
            mixed, norm = self._attend(queries, keys, values, self._shared.ragged, scaling, causal=False)
            norm += (
                self._context_bias
            )  # on every score of the part: its mean of values stays, its weight changes
            # softmax over both parts: weights exp(lse) of each, normalised
            share = torch.sigmoid(norm - lse[self._shared.rows])[..., None]
            own = out[self._shared.rows]
            out[self._shared.rows] = torch.lerp(own.float(), mixed.float(), share).to(out.dtype)
        return out[None]

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, ragged: Ragged, scaling: float, *, causal: bool
    ) -> tuple[Tensor, Tensor]:
        """Mixed values [rows, heads, D] and their log-sum-exp [rows, heads], fp32."""
        out, lse, _ = self._varlen(
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


class FlashAttention:
    """See `protocol.AttentionBackend`. CUDA and ROCm, float16 and bfloat16, head sizes up to 256."""

    kernels = False

    def __init__(self, varlen: Varlen | None = None) -> None:
        """`varlen` is flash_attn_varlen_func; None imports it."""
        self._varlen: Varlen = _package() if varlen is None else varlen

    def prepare(
        self, batch: Batch, store: KVCache, transfer: Transfer, windows: Collection[int | None]
    ) -> Step:
        """See `AttentionBackend`."""
        return Step(
            batch, store, transfer, windows, lambda part: _Attend(part, store, transfer, self._varlen)
        )


def _package() -> Varlen:
    try:
        from flash_attn import flash_attn_varlen_func
    except ModuleNotFoundError as error:
        if error.name != "flash_attn":  # installed, but something it needs is not
            raise
        raise ImportError(
            "the 'flash' attention backend needs flash-attn: pip install 'rranker[flash]'"
        ) from error
    varlen: Varlen = flash_attn_varlen_func
    return varlen
