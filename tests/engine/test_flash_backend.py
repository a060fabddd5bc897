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
from rranker.engine.transfer import Transfer
from tests.support.flash_reference import varlen_reference


def step(store: KVCache, bidirectional: bool):
    """Two queries: prefixes, candidates, suffix copies over subsets (one sees nothing, one an empty segment)."""
    builder = BatchBuilder(bidirectional=bidirectional)
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


def run(backend, dtype, bidirectional=False):
    torch.manual_seed(0)
    store = KVCache(1, 64)
    store.write(0, slice(0, 64), torch.randn(2, 64, 16).to(dtype), torch.randn(2, 64, 16).to(dtype))
    plan = step(store, bidirectional)
    query, key, value = (torch.randn(1, heads, plan.rows, 16).to(dtype) for heads in (6, 2, 2))
    attend = backend.prepare(plan, store, Transfer(torch.device("cpu")), (None,))
    out = attend(0, query, key, value, scaling=0.3, window=None)
    return out, store.read(0, slice(0, 64))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_two_merged_calls_equal_the_oracle(dtype, bidirectional):
    found, kept = run(FlashAttention(varlen_reference), dtype, bidirectional)
    expected, also_kept = run(ReferenceAttention(), dtype, bidirectional)
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
