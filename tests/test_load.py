"""Under load: many mixed queries on a small budget, each as if alone; whoever is cancelled takes nobody along."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from bench.memory import queries
from rranker import Ranker, Ranking
from tests.support.checkpoints import TINY_START

METHODS = ("iranker", "iranker", "iranker", "dranker", "selection", "tournament")

Query = tuple[str, list[str], dict[str, Any]]


@dataclass(frozen=True)
class Load:
    """How many queries, of at most how many candidates of how many words (about tokens), on what budget."""

    queries: int
    candidates: int
    words: int
    slots: int
    batch: int


# The model reads 256 tokens of a text. About four average queries of either load fit into its budget at once.
LOADS = {"large": Load(40, 100, 400, 6000, 2000), "many": Load(500, 20, 30, 250, 200)}


@pytest.fixture(params=LOADS)
def load(request: pytest.FixtureRequest) -> Load:
    return LOADS[request.param]


@pytest.fixture
def ranker(load: Load) -> Iterator[Ranker]:
    with Ranker(TINY_START, dtype="float32", kv_cache_tokens=load.slots, max_batch_tokens=load.batch) as made:
        yield made


def mixed(load: Load) -> list[Query]:
    """By all methods, some of the best three only."""
    made = list[Query]()
    for number, (query, texts) in enumerate(queries(load.queries, load.candidates, load.words)):
        settings: dict[str, Any] = {"method": METHODS[number % len(METHODS)]}
        settings |= {"top_k": 3} if number % 4 == 1 else {}
        made.append((query, texts, settings))
    return made


def alike(one: Ranking, other: Ranking) -> bool:
    """Equal rounds and orders; or the first round that they decide differently was a tie but for rounding.

    Windows of one list go on as they are served: their rounds may come in another order, to the same end.
    """
    if one.order == other.order and any(repair.kind == "windowed" for repair in one.repairs):
        return True
    for a, b in zip(one.rounds, other.rounds, strict=True):
        if (a.excluded, a.selected) != (b.excluded, b.selected):
            gaps = np.diff(np.sort(a.probabilities))
            return bool(gaps.min() < 1e-5)
    return one.order == other.order


async def under_load(ranker: Ranker, queries: list[Query], doomed: set[int]) -> list[Ranking | None]:
    """All at once, as many callers would; those in `doomed` are cancelled, each when some others are through."""
    finished, rng = asyncio.Semaphore(0), np.random.default_rng(1)

    async def one(query: Query) -> Ranking:
        text, texts, settings = query
        try:
            return await ranker.arank(text, texts, **settings)
        finally:
            finished.release()

    tasks = [asyncio.create_task(one(query)) for query in queries]
    for place in rng.permutation(sorted(doomed)).tolist():
        tasks[place].cancel()
        if rng.random() < 0.5:
            await finished.acquire()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    unexpected = [r for r in results if not isinstance(r, Ranking | asyncio.CancelledError)]
    assert unexpected == []
    return [result if isinstance(result, Ranking) else None for result in results]


def test_each_of_many_is_ranked_as_alone_and_cancelling_half_loses_nothing(
    ranker: Ranker, load: Load
) -> None:
    queries, count = mixed(load), load.queries
    alone = [ranker.rank(text, texts, **settings) for text, texts, settings in queries]
    assert any(
        repair.kind == "windowed" for ranking in alone for repair in ranking.repairs
    )  # larger than the budget
    doomed = set(np.random.default_rng(2).permutation(count)[: count // 2].tolist())
    for cancelled in (set[int](), doomed):
        found = asyncio.run(under_load(ranker, queries, cancelled))
        ranker.rank("any", ["a", "b"])  # behind the last step of what was given up
        engine = ranker._scorer.engine  # type: ignore[attr-defined]
        assert engine.runner.kv_cache.allocator.free == load.slots
        assert not list(engine._queue)
        assert {place for place, ranking in enumerate(found) if ranking is None} <= cancelled
        for ranking, expected in zip(found, alone, strict=True):
            assert ranking is None or alike(ranking, expected)
    assert sum(ranking is None for ranking in found) > len(doomed) / 4  # enough were in time to be cancelled
