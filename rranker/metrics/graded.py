"""Measures of orders of graded candidates: every candidate is judged, by a number that may be any real one.

An order lists candidates' indices, the best first; relevance is one number a candidate. The figures are those of `RR`
and `nDCG`, which know whole levels: a best candidate is relevant, and gains are relevance moved to [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

from rranker.metrics.measure import Floats, Ranked
from rranker.metrics.ndcg import nDCG
from rranker.metrics.reciprocal_rank import RR

Relevance = Sequence[float]
Order = Sequence[int]


def gains(relevance: Relevance) -> list[float]:
    """Relevance moved to [0, 1]: utilities may be negative, and nDCG knows no negative gain. All 1 where all tie."""
    low, high = min(relevance), max(relevance)
    return [(r - low) / (high - low) if high > low else 1.0 for r in relevance]


def best_level(relevance: Relevance) -> list[float]:
    """1 for the best, all of them when they tie, 0 for the rest: what a reciprocal rank sees."""
    top = max(relevance)
    return [float(r == top) for r in relevance]


def reciprocal_ranks(relevance: Sequence[Relevance], orders: Sequence[Order]) -> Floats:
    """[lists]: 1 / rank of the first candidate with its list's highest relevance."""
    best = [np.array(best_level(r), dtype=np.int32) for r in relevance]
    return RR()(_ranked(best, orders))


def ndcgs(relevance: Sequence[Relevance], orders: Sequence[Order], k: int = 10) -> Floats:
    """[lists]: nDCG@k over `gains`."""
    scaled = [gains(r) for r in relevance]
    # A level for every gain there is, from 1 on: a level of 0 gains nothing.
    known = np.unique(np.concatenate(scaled)) if scaled else np.zeros(0)
    levels = [1 + np.searchsorted(known, row).astype(np.int32) for row in scaled]
    measure = nDCG(k=k, gains={level: float(gain) for level, gain in enumerate(known, start=1)})
    return measure(_ranked(levels, orders))


def random_reciprocal_rank(relevance: Relevance) -> float:
    """The reciprocal rank that a random order gets on average: exact, ties included."""
    n, m = len(relevance), list(relevance).count(max(relevance))
    return sum(comb(n - r, m - 1) / r for r in range(1, n - m + 2)) / comb(n, m)


def by_query(queries: Iterable[str], values: Iterable[float]) -> dict[str, float]:
    """The mean of each query's values, in the order in which queries first appear: draws of one query count once."""
    groups: dict[str, list[float]] = {}
    for query, value in zip(queries, values, strict=True):
        groups.setdefault(query, []).append(value)
    return {query: float(np.mean(group)) for query, group in groups.items()}


def _ranked(levels: Sequence[NDArray[np.int32]], orders: Sequence[Order]) -> Ranked:
    offsets = np.zeros(len(levels) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in levels], out=offsets[1:])
    ranked = [row[list(order)] for row, order in zip(levels, orders, strict=True)]
    judged = [np.sort(row)[::-1] for row in levels]
    ends = np.zeros(len(levels) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in ranked], out=ends[1:])
    nothing = [np.zeros(0, dtype=np.int32)]
    return Ranked(ends, np.concatenate([*ranked, *nothing]), offsets, np.concatenate([*judged, *nothing]))
