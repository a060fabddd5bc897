"""Under load: many mixed queries on a small budget, each as if alone; whoever is cancelled takes nobody along."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from rranker import Ranker, Ranking
from tests.support.checkpoints import TINY_START

SLOTS = 6000
WORDS = [
    "bees",
    "find",
    "flowers",
    "by",
    "colour",
    "scent",
    "dance",
    "in",
    "the",
    "dark",
    "hive",
    "who",
    "follow",
]
METHODS = ("iranker", "iranker", "iranker", "dranker", "selection", "tournament")
SIZES = [pytest.param(40, id="40"), pytest.param(1000, id="1000", marks=pytest.mark.slow)]

Query = tuple[str, list[str], dict[str, Any]]


@pytest.fixture(scope="module")
def ranker() -> Iterator[Ranker]:
    with Ranker(TINY_START, dtype="float32", kv_cache_tokens=SLOTS, max_batch_tokens=2000) as made:
        yield made


def mixed(count: int) -> list[Query]:
    """2 to 100 candidates of about 5 to 400 tokens (the model reads 256 of one): few are large, and most are small."""
    rng = np.random.default_rng(7)
    queries = list[Query]()
    for number in range(count):
        n, longest = (int(2 * 50 ** rng.random()), int(5 * 80 ** rng.random()))
        texts = [f"{i} " + " ".join(rng.choice(WORDS, rng.integers(1, longest + 1))) for i in range(n)]
        settings: dict[str, Any] = {"method": METHODS[number % len(METHODS)]}
        settings |= {"top_k": 3} if number % 4 == 1 else {}
        queries.append((f"query {number}: how do bees find flowers?", texts, settings))
    return queries


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


@pytest.mark.parametrize("count", SIZES)
def test_each_of_many_is_ranked_as_alone_and_cancelling_half_loses_nothing(
    ranker: Ranker, count: int
) -> None:
    queries = mixed(count)
    alone = [ranker.rank(text, texts, **settings) for text, texts, settings in queries]
    assert any(
        repair.kind == "windowed" for ranking in alone for repair in ranking.repairs
    )  # larger than the budget
    doomed = set(np.random.default_rng(2).permutation(count)[: count // 2].tolist())
    for cancelled in (set[int](), doomed):
        found = asyncio.run(under_load(ranker, queries, cancelled))
        ranker.rank("any", ["a", "b"])  # behind the last step of what was given up
        engine = ranker._scorer.engine  # type: ignore[attr-defined]
        assert engine.runner.kv_cache.allocator.free == SLOTS
        assert not list(engine._queue)
        assert {place for place, ranking in enumerate(found) if ranking is None} <= cancelled
        for ranking, expected in zip(found, alone, strict=True):
            assert ranking is None or alike(ranking, expected)
    assert sum(ranking is None for ranking in found) > len(doomed) / 4  # enough were in time to be cancelled
