"""The flash backend's planning and merge, with a reference of flash-attn's varlen call in the package's place."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from rranker.engine.attention import attention_backend
from rranker.engine.attention.flash import FlashAttention
from rranker.engine.attention.reference import ReferenceAttention
from rranker.engine.batch import BatchBuilder, Segment
from rranker.engine.kv.cache import KVCache


def varlen_reference(
    q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, dropout_p=0.0, softmax_scale=None, causal=False,
    window_size=(-1, -1), softcap=0.0, alibi_slopes=None, deterministic=False, return_attn_probs=False,
    block_table=None,
):  # fmt: skip
    """flash_attn_varlen_func as flash-attn 2.7 documents it: its signature, layouts, and log-sum-exp [heads, total]."""
    assert return_attn_probs
    assert cu_seqlens_q.dtype == cu_seqlens_k.dtype == torch.int32
    assert q.stride(-1) == k.stride(-1) == v.stride(-1) == 1
    assert cu_seqlens_q[-1] == len(q)
    assert cu_seqlens_k[-1] == len(k) == len(v)
    assert max_seqlen_q == cu_seqlens_q.diff().max()
    assert max_seqlen_k == cu_seqlens_k.diff().max()
    out, lse = torch.empty_like(q), torch.empty(q.shape[1], len(q))
    groups = q.shape[1] // k.shape[1]
    for i in range(len(cu_seqlens_q) - 1):
        rows, keys = (slice(int(c[i]), int(c[i + 1])) for c in (cu_seqlens_q, cu_seqlens_k))
        some = k[keys].double().repeat_interleave(groups, 1)
        scores = torch.einsum("qhd,khd->hqk", q[rows].double(), some) * softmax_scale
        if causal:  # aligned to the bottom right corner
            later = torch.ones(scores.shape[1:], dtype=torch.bool).triu(1 + scores.shape[2] - scores.shape[1])
            scores = scores.masked_fill(later, -torch.inf)
        lse[:, rows] = scores.logsumexp(-1).float()
        mixed = torch.einsum(
            "hqk,khd->qhd", scores.softmax(-1), v[keys].double().repeat_interleave(groups, 1)
        )
        out[rows] = mixed.to(out.dtype)
    return out, lse, None


def step(store: KVCache):
    """Two queries: prefixes, candidates, suffix copies over subsets (one sees nothing, one an empty segment)."""
    builder = BatchBuilder()
    stored = [Segment(0, 7, 0), Segment(7, 3, 7), Segment(12, 0, 7), Segment(20, 5, 0), Segment(30, 1, 5)]
    numbers = [builder.segment(segment) for segment in stored]
    free = 40
    for query_index, rows, seen, writes in [
        (0, 4, [], True),
        (0, 2, [0], False),
        (0, 3, [0], True),
        (0, 1, [0, 1, 2], False),
        (0, 2, [2], False),
        (1, 6, [3], False),
        (1, 1, [3, 4], False),
    ]:
        visible = np.asarray([numbers[i] for i in seen], dtype=np.int64)
        builder.chunk(np.zeros(rows, dtype=np.int64), 7, visible, query_index, free if writes else None)
        free += rows
    return builder.build()


def run(backend, dtype):
    torch.manual_seed(0)
    store = KVCache(1, 64)
    store.write(0, slice(0, 64), torch.randn(2, 64, 16).to(dtype), torch.randn(2, 64, 16).to(dtype))
    plan = step(store)
    query, key, value = (torch.randn(1, heads, plan.rows, 16).to(dtype) for heads in (6, 2, 2))
    attend = backend.prepare(plan, store, torch.device("cpu"))
    out = attend(0, query, key, value, scaling=0.3, window=None)
    return out, store.read(0, slice(0, 64))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_two_merged_calls_equal_the_oracle(dtype):
    found, kept = run(FlashAttention(varlen_reference), dtype)
    expected, also_kept = run(ReferenceAttention(), dtype)
    digits = {torch.float16: 2e-3, torch.bfloat16: 2e-2}[dtype]
    torch.testing.assert_close(found, expected, atol=digits, rtol=digits)
    assert all(torch.equal(one, other) for one, other in zip(kept, also_kept, strict=True))


def test_float32_is_refused():
    with pytest.raises(ValueError, match="float32"):
        run(FlashAttention(varlen_reference), torch.float32)


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "flash_attn", None)
    with pytest.raises(ImportError, match=r"rranker\[flash\]"):
        attention_backend("flash")
