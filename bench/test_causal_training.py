"""A causal policy's rollouts, and their re-scoring with gradients: what the prefix tree shares.

    OMP_NUM_THREADS=1 python -m pytest bench/test_causal_training.py --benchmark-columns=mean,rounds

`together` plays the rollouts of one query in one request, `alone` each in a request of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bench.random_inputs import random_qwen2, random_segments
from rranker.engine.engine import Engine
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest
from rranker.methods import Elimination, Rollout, Sampled
from rranker.prompts.segments import Segments
from rranker.training.policy.logprobs import Row, score
from rranker.training.policy.network import answer_packed, use_policy_attention
from rranker.training.policy.rollouts import equally_good

QUERIES, GROUP, CANDIDATES, TOKENS, PREFIX, SUFFIX, VOCABULARY = 4, 8, 20, 8, 160, 8, 4096
GRADES = [1.0] + [0.0] * (CANDIDATES - 1)


@pytest.fixture(scope="module")
def lm() -> Any:
    """Random weights, 0.5 M of them without embeddings."""
    model = random_qwen2(VOCABULARY, hidden=128, intermediate=256, layers=4, heads=(4, 2))
    answer_packed(model.requires_grad_(True))
    return model


@pytest.fixture(scope="module")
def prompts() -> list[Segments]:
    rng = np.random.default_rng(0)
    return [random_segments(rng, VOCABULARY, CANDIDATES, TOKENS, PREFIX, SUFFIX) for _ in range(QUERIES)]


def played(engine: Engine, prompts: list[Segments], together: bool) -> tuple[list[list[Rollout]], int]:
    """The rollouts of each query, and the tokens encoded for all."""
    requests, groups = list[EngineRequest](), []
    for query, segments in enumerate(prompts):
        rngs = [np.random.default_rng([query, draw]) for draw in range(GROUP)]
        parts = [rngs] if together else [[rng] for rng in rngs]
        methods = [
            Sampled(Elimination, CANDIDATES, part, temperature=1.0, settled=equally_good(GRADES))
            for part in parts
        ]
        requests += [
            EngineRequest(segments, m, speculate=False, branches=GROUP // len(parts)) for m in methods
        ]
        groups.append(methods)
    handles = list(engine.run(requests))
    assert all(handle.error is None for handle in handles)
    found = [[rollout for method in methods for rollout in method.rollouts] for methods in groups]
    return found, sum(handle.tokens_encoded for handle in handles)


def engine_of(lm: Any) -> Engine:
    engine = Engine(lm, IdentifierReadout(lm), attention_mode="causal", kv_cache_tokens=16384)
    use_policy_attention(lm)
    return engine


@pytest.mark.parametrize("way", ["together", "alone"])
def test_rollouts(benchmark: Any, lm: Any, prompts: list[Segments], way: str) -> None:
    engine = engine_of(lm)
    found, tokens = benchmark.pedantic(
        played, (engine, prompts, way == "together"), rounds=5, warmup_rounds=1, iterations=1
    )
    assert [len(group) for group in found] == [GROUP] * QUERIES
    benchmark.extra_info["tokens_encoded"] = tokens


def test_re_scoring_with_gradients(benchmark: Any, lm: Any, prompts: list[Segments]) -> None:
    rolled, _ = played(engine_of(lm), prompts, together=True)
    rows = [Row(query, tuple(r.decisions)) for query, group in enumerate(rolled) for r in group]

    def run() -> None:
        lm.zero_grad(set_to_none=True)
        logps, _ = score(lm, prompts, rows, Elimination, "causal", 1.0, torch.device("cpu"))
        torch.autograd.backward(logps.sum())

    benchmark.pedantic(run, rounds=3, warmup_rounds=1, iterations=1)
