"""What a run on a user's own data brought, on the rows that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rranker import Ranker
from rranker.data import RankingExample
from rranker.data.own import query_key
from rranker.metrics import bootstrap_interval
from rranker.metrics.graded import by_query, reciprocal_ranks
from rranker.training.sft.own_data import left_out


def reciprocal_ranks_of(
    model: str | Path, examples: Sequence[RankingExample], method: str
) -> tuple[np.ndarray, list[str]]:
    """[examples]: 1 / rank of the first candidate of the highest relevance, as the model ranks by `method` in float32.

    NaN for those that it refuses (such as a query beyond its context), and why.
    """
    queries = [{**example.as_query(), "id": example.id} for example in examples]
    with Ranker(model, method=method, dtype="float32") as ranker:
        rankings = ranker.rank_batch(queries, on_error="return", progress=False)
    values, reasons = np.full(len(examples), np.nan), list[str]()
    for number, (example, ranking) in enumerate(zip(examples, rankings, strict=True)):
        if isinstance(ranking, ValueError):
            reasons.append(str(ranking))
        elif isinstance(ranking, Exception):
            raise ranking  # nothing that the row could be blamed for
        else:
            values[number] = reciprocal_ranks([example.relevance], [ranking.order])[0]
    return values, reasons


class HeldOut:
    """Rows that do not train, as the model that a run starts from ranks them: made before anything is trained.

    Both models play `method`, the one that is trained, whatever they say of themselves: else the difference would be
    the methods' as well. Rows that the start refuses are left out, which is printed. Raises ValueError when none is
    left.
    """

    def __init__(self, start: str | Path, examples: Sequence[RankingExample], method: str) -> None:
        self._examples, self._before, self._method = list(examples), np.zeros(0), method
        if not examples:
            return
        before, reasons = reciprocal_ranks_of(start, examples, method)
        said = left_out("that are held out cannot be ranked", reasons, len(examples))
        if len(reasons) == len(examples):
            raise ValueError(f"{said}\nGive others as a --validation file")
        if reasons:
            print(said, flush=True)
        kept = np.flatnonzero(~np.isnan(before)).tolist()
        self._examples, self._before = [examples[i] for i in kept], before[kept]

    def report(self, final: str | Path) -> str:
        """Mean reciprocal ranks before and after, and the interval of their paired difference.

        Rows of one query are alike, so that each query counts once and the interval is over queries. Rows that the
        trained model alone refuses are left out of all figures.
        """
        if not self._examples:
            return "No row was held out, so nothing says what the run brought: give a --validation file"
        ranks, reasons = reciprocal_ranks_of(final, self._examples, self._method)
        kept = np.flatnonzero(~np.isnan(ranks)).tolist()
        said = left_out("that are held out cannot be ranked by the trained model", reasons, len(ranks))
        if not kept:
            return said
        keys = [query_key(self._examples[i]) for i in kept]
        before, after = (
            np.array(list(by_query(keys, values[kept]).values())) for values in (self._before, ranks)
        )
        low, high = bootstrap_interval(after - before)
        figures = (
            f"MRR on {len(before)} held-out queries ({len(kept)} rows): {before.mean():.3f} before, "
            f"{after.mean():.3f} after, difference {np.mean(after - before):+.3f} [{low:+.3f}, {high:+.3f}]"
        )
        return f"{said}\n{figures}" if reasons else figures
