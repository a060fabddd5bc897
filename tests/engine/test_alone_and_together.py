"""A query's clear verdicts are the same alone and in a batch, under every backend that runs here.

Clear: the two most probable candidates are further apart than rounding moves them. A closer verdict may fall either
way, since a matrix product of other shapes (cuBLAS's above all) sums in another order; what follows is not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch

from bench.lossless import items
from rranker import Ranker
from rranker.engine.attention.varlen import FlashVarlen, VarlenAttention
from rranker.engine.engine import Engine
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest
from rranker.kernels import launch
from rranker.methods import Elimination, Greedy
from tests.support.architectures import tiny_model
from tests.support.checkpoints import TINY_START
from tests.support.engine_steps import problem
from tests.support.varlen_references import varlen_reference

Verdict = tuple[tuple[int, ...], tuple[float, ...], tuple[int, ...]]
"""Who was asked about, the probability of each to be named, and who was."""

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def clear(probabilities: Sequence[float], dtype: torch.dtype) -> bool:
    """Whether the two most probable are further apart than 8 roundings of the logits' spread."""
    logits = np.log(np.maximum(probabilities, 1e-30))
    if len(logits) < 2:
        return True
    second, first = np.sort(logits)[-2:]
    return bool(first - second > 8 * torch.finfo(dtype).eps * (logits.max() - logits.min()))


def compared(alone: Sequence[Verdict], together: Sequence[Verdict], dtype: torch.dtype) -> int:
    """How many verdicts are the same, up to the first that is not. Raises AssertionError where that one is clear."""
    assert len(alone) == len(together)
    for place, (one, other) in enumerate(zip(alone, together, strict=True)):
        assert one[0] == other[0]  # all before it went alike
        if one[2] != other[2]:
            assert not clear(one[1], dtype), f"verdict {place} changed from {one[2]} to {other[2]}: {one[1]}"
            return place
    return len(alone)


def rounds_of(ranking) -> list[Verdict]:
    return [(r.alive, r.probabilities, r.excluded) for r in ranking.rounds]


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("model", "backend", "dtype", "queries", "candidates"),
    [
        (None, "cpu", torch.float32, 24, 20),
        # one close verdict that turns early leaves all behind it out; bfloat16 takes some CPUs long
        (None, "cpu", torch.bfloat16, 24, 8),
        (None, "reference", torch.bfloat16, 6, 8),
        (TINY_START, "triton", torch.float32, 8, 4),
    ],
)
def test_clear_verdicts_of_rankings(model, backend, dtype, queries, candidates):
    if backend == "cpu" and DEVICE == "cuda":
        pytest.skip("for CPUs")
    asked = [(query, texts[:candidates]) for query, texts in items(queries)]
    setting = {"device": DEVICE, "dtype": str(dtype).removeprefix("torch."), "attention_backend": backend}
    # fp32's own tiles are small, which takes the interpreter long
    with patch.dict(launch.FULL["sm_90"], {64: (128, 64, 8, 1)}), Ranker(model, **setting) as ranker:
        together = ranker.rank_batch(asked, progress=False)
        alone = [ranker.rank(query, texts) for query, texts in asked]
    pairs = [(rounds_of(one), rounds_of(other)) for one, other in zip(alone, together, strict=True)]
    settled = sum(compared(one, other, dtype) for one, other in pairs)
    assert settled >= 0.9 * sum(len(one) for one, _ in pairs)
    assert sum(clear(round_[1], dtype) for one, _ in pairs for round_ in one) >= 20  # that might have changed


def test_clear_verdicts_through_flash_attn_s_calls():
    lm = tiny_model("qwen3").half()
    engine = Engine(
        lm,
        IdentifierReadout(lm),
        attention_mode="block",
        attention_backend=VarlenAttention(FlashVarlen(varlen_reference)),
        kv_cache_tokens=4096,
    )

    def verdicts(together: bool) -> list[list[Verdict]]:
        methods = [Greedy(Elimination(6)) for _ in range(8)]
        requests = [EngineRequest(problem(seed), method) for seed, method in enumerate(methods)]
        for group in [requests] if together else [[request] for request in requests]:
            for handle in engine.run(group):
                assert handle.error is None
        return [
            [(d.asked, d.probabilities, d.named) for d in method.outcome().decisions] for method in methods
        ]

    pairs = list(zip(verdicts(False), verdicts(True), strict=True))
    assert sum(compared(one, other, torch.float16) for one, other in pairs) >= 36  # of 40


def test_a_clear_verdict_that_changed_is_seen_and_a_close_one_is_let_go():
    with Ranker(dtype="float32", device="cpu") as ranker:
        query, texts = items(1)[0]
        ranking = ranker.rank(query, texts)
    told = rounds_of(ranking)
    assert compared(told, told, torch.float32) == len(told)
    first = ranking.rounds[0]
    other = next(place for place in first.alive if place not in first.excluded)
    changed = [(first.alive, first.probabilities, (other,)), *told[1:]]
    with pytest.raises(AssertionError):
        compared(told, changed, torch.float32)
    even = replace(first, probabilities=tuple([1 / len(first.alive)] * len(first.alive)))
    close = [(even.alive, even.probabilities, even.excluded), *told[1:]]
    assert compared(close, changed, torch.float32) == 0
    assert compared(close, close, torch.float32) == len(close)
