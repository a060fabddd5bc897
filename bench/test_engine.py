"""Throughput of the engine: pytest-benchmark over the bundled model. `bench.elimination` prints the comparison."""

from __future__ import annotations

from typing import Any

import pytest

from bench import cross_encoder
from bench.loops import Work, forward
from bench.workloads import Elimination, default_subject, losers, prompt
from rranker import Ranker
from rranker.engine.loading.settings import AttentionMode

TEXT = "the quick brown fox jumps over the lazy dog and finds its way home across the river "


@pytest.fixture(scope="module")
def subject() -> Any:
    return default_subject()


@pytest.mark.parametrize(
    ("way", "n"),
    [
        *((way, n) for way in ("block", "block, sequential", "one plain forward") for n in (20, 100)),
        ("causal", 20),
    ],
)
def test_elimination(benchmark: Any, subject: Any, way: str, n: int) -> None:
    benchmark.group = f"{n} candidates of 100 tokens, prefix 200, bundled model"
    segments = prompt(subject, n)
    if way == "one plain forward":
        work = Work(200 + 100 * n + subject.suffix)
        benchmark.pedantic(forward, (subject.lm, work), rounds=3, warmup_rounds=1)
        return
    attention: AttentionMode = "causal" if way == "causal" else "block"
    elimination = Elimination(subject, attention, speculate="sequential" not in way)
    handle = benchmark.pedantic(elimination.run, (segments,), rounds=3, warmup_rounds=1)
    assert len(losers(handle)) == n - 1


@pytest.mark.parametrize("queries", [1, 16])
def test_rank_batch(benchmark: Any, queries: int) -> None:
    benchmark.group = f"text in, rankings out: {queries} queries of 20 candidates"
    items = [(f"{TEXT}{q}", [f"{TEXT * 2}{i}" for i in range(20)]) for q in range(queries)]
    with Ranker() as ranker:
        rankings = benchmark.pedantic(
            ranker.rank_batch, (items,), {"progress": False}, rounds=5, warmup_rounds=1
        )
    assert all(len(ranking) == 20 for ranking in rankings)


@pytest.mark.parametrize("name", list(cross_encoder.ways()))
def test_beside_a_cross_encoder(benchmark: Any, name: str) -> None:
    benchmark.group = "20 candidates of 40 tokens"
    benchmark.pedantic(cross_encoder.ways()[name], rounds=10, warmup_rounds=3)
