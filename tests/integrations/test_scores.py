"""Scores of adapters: strictly falling, also in float32, near what the ranking says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rranker import RankedCandidate, Ranking
from rranker.integrations.common import best, falling_scores

PROBABILITIES = st.lists(
    st.sampled_from([0.0, 1e-300, 1e-40, 0.25, 0.25 + 1e-12, 1.0]) | st.floats(0, 1), max_size=40
)


def ranking_of(values: list[float], relevance: bool) -> Ranking:
    items = [
        RankedCandidate(i + 1, i, None, str(i), value, relevance=value if relevance else None)
        for i, value in enumerate(sorted(values, reverse=True))
    ]
    return Ranking(tuple(items))


@pytest.mark.parametrize("relevance", [True, False])
@given(values=PROBABILITIES)
def test_scores_fall_strictly_and_stay_near_the_probability(relevance: bool, values: list[float]) -> None:
    ranking = ranking_of(values, relevance)
    scores = falling_scores(ranking)
    single = np.array(scores, dtype=np.float32)
    assert single.tolist() == scores  # nothing is lost in single precision
    assert all(above > below for above, below in pairwise(scores))
    assert all(0 <= score <= 1 for score in scores)  # also where several are 0
    assert scores == pytest.approx([item.score for item in ranking], abs=1e-7 * (len(values) + 1))


def test_relevance_goes_before_the_score() -> None:
    items = [
        RankedCandidate(1, 0, None, "a", 0.9, relevance=0.25),
        RankedCandidate(2, 1, None, "b", 0.4, relevance=0.125),
    ]
    assert falling_scores(Ranking(tuple(items))) == [0.25, 0.125]


def test_the_best_are_those_above_the_threshold_and_at_most_k() -> None:
    ranking = replace(ranking_of([0.75, 0.5, 0.25], relevance=True), threshold=0.5)
    assert [item.rank for item, _ in best(ranking)] == [1, 2]
    assert [score for _, score in best(ranking, 1)] == [0.75]
