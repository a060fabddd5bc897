"""Is one run better than another? Paired tests over queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rranker import _C
from rranker.metrics.measure import Floats
from rranker.real import real_number
from rranker.whole import whole_number


@dataclass(frozen=True, slots=True)
class Comparison:
    """Difference of means (a - b), its interval, and the chance of one as large if neither were better."""

    difference: float
    low: float
    high: float
    p_value: float
    queries: int


def _differences(a: ArrayLike | Mapping[str, float], b: ArrayLike | Mapping[str, float]) -> Floats:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        if a.keys() != b.keys():
            lone = sorted(a.keys() ^ b.keys())
            raise ValueError(f"a paired test needs the same queries on both sides; {lone[:3]} stand on one")
        queries = list(a)
        x, y = np.array([a[q] for q in queries], dtype=float), np.array([b[q] for q in queries], dtype=float)
    elif isinstance(a, Mapping) or isinstance(b, Mapping):
        raise TypeError("give both sides as per-query dicts, or both as arrays in the same order of queries")
    else:
        x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"a paired test needs one value a query on both sides, not {x.shape} and {y.shape}")
    differences: Floats = x - y
    if not np.isfinite(differences).all():
        raise ValueError(
            "a paired test needs finite values; a query without a figure must be left out of both"
        )
    return differences


def paired_bootstrap(
    a: ArrayLike | Mapping[str, float],
    b: ArrayLike | Mapping[str, float],
    *,
    rounds: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Resamples queries with replacement (Efron and Tibshirani 1993; Sakai 2006).

    The interval holds the middle `confidence` of the resampled mean differences. The p-value is two-sided,
    from differences shifted to mean 0: (1 + #{|mean*| >= |mean|}) / (1 + rounds).
    """
    d = _differences(a, b)
    means, low, high = _bootstrap(d, rounds, confidence, seed)
    observed = float(d.mean())
    extremes = int(np.count_nonzero(np.abs(means - observed) >= abs(observed) - 1e-12))
    return Comparison(observed, low, high, (1 + extremes) / (1 + rounds), d.size)


def bootstrap_interval(
    values: ArrayLike | Mapping[str, float],
    *,
    rounds: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """The middle `confidence` of the means of resampled queries; `values` holds one number a query.

    Raises ValueError when they are none, or not finite.
    """
    figures = np.array(list(values.values()) if isinstance(values, Mapping) else values, dtype=float)
    if figures.ndim != 1 or not figures.size or not np.isfinite(figures).all():
        raise ValueError("a bootstrap needs one finite value a query, and at least one query")
    _, low, high = _bootstrap(figures, rounds, confidence, seed)
    return low, high


def _bootstrap(values: Floats, rounds: int, confidence: float, seed: int) -> tuple[Floats, float, float]:
    """Means of resampled values, and the ends of their middle `confidence`."""
    confidence = real_number(confidence, "confidence", above=0, below=1)
    means = _C.bootstrap_means(
        values, whole_number(rounds, "rounds", least=1), whole_number(seed, "seed", least=0)
    )
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return means, float(low), float(high)


def paired_randomisation(
    a: ArrayLike | Mapping[str, float],
    b: ArrayLike | Mapping[str, float],
    *,
    rounds: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Fisher's randomisation test: each query's two values change sides at random (Smucker et al. 2007).

    p = (1 + #{|mean under random signs| >= |mean|}) / (1 + rounds), two-sided. The interval is the
    bootstrap's.
    """
    d = _differences(a, b)
    _, low, high = _bootstrap(d, rounds, confidence, seed)
    extremes = _C.randomisation_extremes(d, rounds, seed)
    return Comparison(float(d.mean()), low, high, (1 + extremes) / (1 + rounds), d.size)
