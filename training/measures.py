"""Reciprocal ranks with ties, what chance would reach, and bootstrap intervals by query."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np

from rranker.data import Case

Row = dict[str, float]


def reciprocal_rank(case: Case, order: Sequence[int]) -> float:
    """1 / the place of the first candidate with the best grade."""
    best = max(case.grades)
    return 1 / (1 + next(place for place, i in enumerate(order) if case.grades[i] == best))


def random_reciprocal_rank(case: Case) -> float:
    """What a random order gets on average: exact, ties included."""
    n, m = len(case.grades), case.grades.count(max(case.grades))
    return sum(comb(n - r, m - 1) / r for r in range(1, n - m + 2)) / comb(n, m)


def gains(grades: Sequence[float]) -> list[float]:
    """Grades moved to [0, 1]: utilities may be negative, and NDCG knows no negative gain."""
    low, high = min(grades), max(grades)
    return [(g - low) / (high - low) if high > low else 1.0 for g in grades]


def best_level(grades: Sequence[float]) -> list[float]:
    """1 for the best, all of them when they tie, 0 for the rest: what MRR sees."""
    return [float(g == max(grades)) for g in grades]


def ndcg(case: Case, order: Sequence[int], k: int = 10) -> float:
    """NDCG@k over `gains`."""
    values = gains(case.grades)
    discounts = 1 / np.log2(np.arange(2, 2 + min(k, len(values))))
    found = np.array([values[i] for i in order[:k]])
    best = np.sort(np.array(values))[::-1][:k]
    return float(found @ discounts / (best @ discounts))


def by_query(cases: Sequence[Case], values: Sequence[float]) -> np.ndarray:
    """[queries]: the mean of each query's cases, so that several draws of one query count as one."""
    groups: dict[str, list[float]] = {}
    for case, value in zip(cases, values, strict=True):
        groups.setdefault(case.id, []).append(value)
    return np.array([np.mean(group) for group in groups.values()])


def interval(means: np.ndarray, draws: int = 2000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of [queries] values."""
    picks = np.random.default_rng(0).integers(len(means), size=(draws, len(means)))
    low, high = np.quantile(means[picks].mean(1), [0.025, 0.975])
    return float(low), float(high)


def summary(cases: Sequence[Case], values: Sequence[float]) -> Row:
    """Mean over queries with its 95 % interval."""
    means = by_query(cases, values)
    low, high = interval(means)
    return {"mean": float(means.mean()), "low": low, "high": high, "queries": len(means)}
