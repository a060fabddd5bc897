"""Backends of two calls, merged: references of flash-attn's, torch's and FlashInfer's functions in their places."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from rranker.engine.attention import attention_backend
from rranker.engine.attention.flashinfer import FlashInferAttention
from rranker.engine.attention.reference import ReferenceAttention
from rranker.engine.attention.varlen import FlashVarlen, TorchVarlen, VarlenAttention
from rranker.engine.batch import BatchBuilder, Segment
from rranker.engine.kv.cache import KVCache
from rranker.engine.runner import ModelRunner
from rranker.engine.self_check import self_check
from rranker.engine.transfer import Transfer
from tests.support.architectures import tiny_model
from tests.support.varlen_references import (
    AuxRequest,
    flashinfer_package,
    same_parameters,
    torch_varlen_2_11,
    torch_varlen_2_13,
    varlen_reference,
)

BACKENDS = {
    "flash-attn": lambda: VarlenAttention(FlashVarlen(varlen_reference)),
    "torch 2.11": lambda: VarlenAttention(TorchVarlen(torch_varlen_2_11, AuxRequest)),
    "torch 2.13": lambda: VarlenAttention(TorchVarlen(torch_varlen_2_13, AuxRequest)),
    "FlashInfer": lambda: FlashInferAttention(flashinfer_package()),
}
EVERY = pytest.mark.parametrize("name", BACKENDS)


def step(bidirectional: bool, bias: float):
    """Two queries: prefixes, candidates, suffix copies over subsets (one sees nothing, one an empty segment)."""
    builder = BatchBuilder(bidirectional=bidirectional, context_bias=bias)
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


def run(backend, dtype, bidirectional=False, bias=0.0, window=None):
    torch.manual_seed(0)
    store, transfer = KVCache(2, 64), Transfer(torch.device("cpu"))
    for layer in range(2):
        store.write(layer, slice(0, 64), torch.randn(2, 64, 16).to(dtype), torch.randn(2, 64, 16).to(dtype))
    plan = step(bidirectional, bias)
    query, key, value = (torch.randn(1, heads, plan.rows, 16).to(dtype) for heads in (6, 2, 2))
    attend = backend.prepare(plan, store, transfer, (None, window))
    transfer.send()
    out = [attend(layer, query, key, value, scaling=0.3, window=(None, window)[layer]) for layer in range(2)]
    return torch.stack(out), store.read(1, slice(0, 64))


@EVERY
@pytest.mark.parametrize(
    ("bidirectional", "bias", "window"),
    [(False, 0.0, None), (False, 0.0, 6), (True, 0.0, None), (True, -2.0, None)],
)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_two_merged_calls_equal_the_reference(name, dtype, bidirectional, bias, window):
    found, kept = run(BACKENDS[name](), dtype, bidirectional, bias, window)
    expected, also_kept = run(ReferenceAttention(), dtype, bidirectional, bias, window)
    digits = {torch.float16: 2e-3, torch.bfloat16: 2e-2}[dtype]
    torch.testing.assert_close(found, expected, atol=digits, rtol=digits)
    assert all(torch.equal(one, other) for one, other in zip(kept, also_kept, strict=True))


@EVERY
@pytest.mark.parametrize("mode", ["block", "causal"])
def test_the_load_check_accepts_a_model_that_attends_so(name, mode):
    lm = tiny_model("qwen3").half()
    assert self_check(lm, ModelRunner(lm, BACKENDS[name](), slots=64), mode) < 0.01


def test_flashinfer_plans_once_a_step_for_all_layers_and_again_for_the_next():
    package = flashinfer_package()
    backend = FlashInferAttention(package)
    for steps in (1, 2):
        run(backend, torch.float16)
        assert package.plans == {"_Paged": steps, "_Ragged": steps}
    run(backend, torch.float16, window=6)  # what a window leaves uncut is a plan of its own
    assert package.plans["_Ragged"] == 4


@EVERY
def test_float32_is_refused(name):
    with pytest.raises(ValueError, match=r"computes in float16 and bfloat16, not torch\.float32.*'triton'"):
        run(BACKENDS[name](), torch.float32)


def test_the_stand_ins_take_what_the_real_ones_take():
    from torch.nn.attention import varlen

    newest = torch_varlen_2_13 if torch.__version__ >= "2.13" else torch_varlen_2_11
    assert same_parameters(newest, varlen.varlen_attn)
    if find_spec("flashinfer") is None:
        return
    from flashinfer import prefill

    ours = flashinfer_package()
    for kind in ("BatchPrefillWithPagedKVCacheWrapper", "BatchPrefillWithRaggedKVCacheWrapper"):
        stand_in = type(getattr(ours, kind)(torch.empty(128 << 20, dtype=torch.uint8)))
        assert same_parameters(stand_in.plan, getattr(prefill, kind).plan)


@pytest.mark.parametrize("name", ["varlen", "flash"])
def test_torchs_own_is_refused_where_it_does_not_run(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "flash_attn", None)  # `flash` is torch's own where flash-attn is missing
    backend = attention_backend(name)
    assert isinstance(backend, VarlenAttention)
    with pytest.raises(ValueError, match="'varlen' attention backend runs on CUDA and ROCm, not on cpu"):
        run(backend, torch.float16)


def test_flash_is_flash_attns_where_that_is_installed(monkeypatch):
    from types import SimpleNamespace

    monkeypatch.setitem(sys.modules, "flash_attn", SimpleNamespace(flash_attn_varlen_func=varlen_reference))
    run(attention_backend("flash"), torch.float16)


def test_flashinfer_is_refused_where_it_does_not_run(monkeypatch):
    monkeypatch.setitem(sys.modules, "flashinfer", flashinfer_package())
    with pytest.raises(ValueError, match="'flashinfer' attention backend runs on CUDA, not on cpu"):
        run(attention_backend("flashinfer"), torch.float16)


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "flashinfer", None)
    with pytest.raises(ImportError, match=r"rranker\[flashinfer\]"):
        attention_backend("flashinfer")
    monkeypatch.setitem(sys.modules, "torch.nn.attention.varlen", None)
    with pytest.raises(ImportError, match=r"torch 2\.11 or newer"):
        attention_backend("varlen")
