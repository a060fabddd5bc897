"""Measures of orders of graded candidates, against their definitions written out."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from rranker.metrics import bootstrap_interval, paired_bootstrap
from rranker.metrics.graded import by_query, gains, ndcgs, random_reciprocal_rank, reciprocal_ranks


def lists(count: int = 60) -> tuple[list[list[float]], list[list[int]]]:
    """Random relevance with ties and negative numbers, and random orders."""
    rng = np.random.default_rng(0)
    relevance = [
        (rng.integers(-2, 3, size=rng.integers(1, 14)) * rng.choice([1.0, 0.37])).tolist()
        for _ in range(count)
    ]
    return relevance, [rng.permutation(len(r)).tolist() for r in relevance]


def reference_ndcg(relevance: list[float], order: list[int], k: int) -> float:
    values = gains(relevance)
    discounts = 1 / np.log2(np.arange(2, 2 + min(k, len(values))))
    found = np.array([values[i] for i in order[:k]])
    return float(found @ discounts / (np.sort(values)[::-1][:k] @ discounts))


@pytest.mark.parametrize("k", [1, 3, 10])
def test_ndcg_of_any_real_relevance(k: int) -> None:
    relevance, orders = lists()
    expected = [reference_ndcg(r, o, k) for r, o in zip(relevance, orders, strict=True)]
    np.testing.assert_allclose(ndcgs(relevance, orders, k), expected, rtol=1e-14)
    best = [sorted(range(len(r)), key=lambda i, r=r: -r[i]) for r in relevance]
    np.testing.assert_allclose(ndcgs(relevance, best, k), 1.0, rtol=1e-14)


def test_reciprocal_rank_is_of_the_first_of_the_best() -> None:
    relevance, orders = lists()
    expected = [
        1 / (1 + next(place for place, i in enumerate(order) if r[i] == max(r)))
        for r, order in zip(relevance, orders, strict=True)
    ]
    assert reciprocal_ranks(relevance, orders).tolist() == expected
    assert reciprocal_ranks([[-3.0, -1.0]], [[0, 1]]).tolist() == [0.5]


@pytest.mark.parametrize("relevance", [[1.0, 1.0, 0.0, 0.0], [-1.0, 0.5, 0.2], [2.0], [0.0] * 3])
def test_chance_is_the_mean_over_all_orders(relevance: list[float]) -> None:
    every = list(permutations(range(len(relevance))))
    found = reciprocal_ranks([relevance] * len(every), every)
    assert random_reciprocal_rank(relevance) == pytest.approx(found.mean())


def test_draws_of_one_query_count_once() -> None:
    assert by_query(["b", "a", "b"], [1.0, 0.25, 0.0]) == {"b": 0.5, "a": 0.25}


def test_no_lists_have_no_figures() -> None:
    assert ndcgs([], []).tolist() == reciprocal_ranks([], []).tolist() == []


def test_an_interval_is_that_of_the_paired_bootstrap_against_nothing() -> None:
    values = np.random.default_rng(1).random(200)
    low, high = bootstrap_interval(values)
    paired = paired_bootstrap(values, np.zeros(200))
    assert (low, high) == (paired.low, paired.high)
    assert low < values.mean() < high
    half = 1.96 * values.std() / 200**0.5
    assert high - low == pytest.approx(2 * half, rel=0.05)
    assert bootstrap_interval({"a": 1.0, "b": 1.0}) == (1.0, 1.0)
    with pytest.raises(ValueError, match="at least one query"):
        bootstrap_interval([])
    with pytest.raises(ValueError, match="finite"):
        bootstrap_interval([1.0, float("nan")])
