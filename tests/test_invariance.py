"""Block attention: the order in which candidates come in cannot matter, to the last bit."""

from __future__ import annotations

import random
from typing import Any

import pytest

from rranker import Ranker

_TEXT = "bees find flowers honey jar stock exchange opened higher night hive dance colour scent tuesday"
WORDS = _TEXT.split()


def drawn(rng: random.Random) -> tuple[str, list[str]]:
    def text(least: int, most: int) -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(least, most)))

    texts = {text(1, 14) for _ in range(rng.randint(2, 14))}
    return text(2, 8), sorted(texts)


@pytest.mark.parametrize("dtype", ["float32", None])
@pytest.mark.parametrize("method", ["iranker", "dranker"])
def test_two_hundred_rankings_are_bitwise_the_same_under_permutation(method: Any, dtype: str | None) -> None:
    rng = random.Random(method)
    with Ranker(method=method, dtype=dtype) as ranker:
        for _ in range(50):  # times two methods and two dtypes
            query, texts = drawn(rng)
            first = ranker.rank(query, texts)
            mixed = rng.sample(texts, len(texts))
            second = ranker.rank(query, mixed)
            assert [(a.text, a.score) for a in first] == [(b.text, b.score) for b in second]
            for one, other in zip(first.rounds, second.rounds, strict=True):
                assert one.probabilities == other.probabilities
                assert [texts[i] for i in one.alive] == [mixed[i] for i in other.alive]
