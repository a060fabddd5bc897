"""A run on a user's own data: how long it goes on, and what it brought on the rows that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rranker import Ranker
from rranker.data import RankingExample
from rranker.data.own import query_key
from rranker.metrics import bootstrap_interval
from rranker.metrics.graded import by_query, reciprocal_ranks


def mean_reciprocal_ranks(model: str | Path, examples: Sequence[RankingExample]) -> np.ndarray:
    """[examples]: 1 / rank of the first candidate of the highest relevance, as `Ranker(model)` ranks in float32."""
    queries = [example.as_query() for example in examples]
    with Ranker(model, dtype="float32") as ranker:
        rankings = ranker.rank_batch(queries, progress=False)
    return reciprocal_ranks(
        [example.relevance for example in examples], [ranking.order for ranking in rankings]
    )


def held_out_report(start: str | Path, final: str | Path, examples: Sequence[RankingExample]) -> str:
    """One line: mean reciprocal ranks before and after, and the interval of their paired difference.

    Rows of one query are alike, so that each query counts once and the interval is over queries.
    """
    if not examples:
        return "No row was held out, so nothing says what the run brought: give a --validation file"
    keys = [query_key(example) for example in examples]
    before, after = (
        np.array(list(by_query(keys, mean_reciprocal_ranks(model, examples)).values()))
        for model in (start, final)
    )
    low, high = bootstrap_interval(after - before)
    return (
        f"MRR on {len(before)} held-out queries ({len(examples)} rows): {before.mean():.3f} before, "
        f"{after.mean():.3f} after, difference {np.mean(after - before):+.3f} [{low:+.3f}, {high:+.3f}]"
    )
