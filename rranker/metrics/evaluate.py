"""`evaluate`: qrels and a run in, figures out, equal to trec_eval's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rranker import _C
from rranker.metrics.inputs import Columns, TextColumns, as_dict, check_levels, load
from rranker.metrics.measure import Floats, Measure, Ranked
from rranker.metrics.names import parse_measure


@dataclass(frozen=True, eq=False)  # compares as a mapping: equal figures
class Evaluation(Mapping[str, float]):
    """Figures of a run: a mapping from measure to its mean over queries (counts: the sum).

    `by_query[name]` holds one number a query, in the order of `queries`. `not_retrieved` lists queries of the
    qrels that the run lacks, `not_judged` queries of the run that the qrels lack.
    """

    queries: tuple[str, ...]
    by_query: Mapping[str, Floats]
    means: Mapping[str, float]
    not_retrieved: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float:
        return self.means[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.means)

    def __len__(self) -> int:
        return len(self.means)

    def per_query(self, name: str) -> dict[str, float]:
        """{query: value} of one measure."""
        return dict(zip(self.queries, self.by_query[name].tolist(), strict=True))

    def __repr__(self) -> str:
        shown = "  ".join(f"{name} {value:.4f}" for name, value in self.means.items())
        missing = f"; {len(self.not_retrieved)} not retrieved" if self.not_retrieved else ""
        return f"Evaluation over {len(self.queries)} queries{missing}: {shown}"


def evaluate(
    qrels: Any,
    run: Any,
    measures: Sequence[str | Measure] | str | Measure = ("nDCG@10", "RR", "AP"),
    *,
    complete: bool = False,
    relevance_level: int = 1,
    max_docs: int | None = None,
    judged_only: bool = False,
    precision: Literal["single", "double"] = "single",
) -> Evaluation:
    """Evaluates a run against relevance judgements, as trec_eval would.

    `qrels` and `run` are dicts `{query: {document: value}}`, DataFrames, paths of TREC files (also `.gz`),
    `Columns` of arrays, or both NumPy arrays (queries x documents) of relevance and scores that lie side by
    side.

    Documents rank by falling score, ties by falling document id (of side-by-side arrays: later place first);
    a run's own rank column is ignored. Scores compare as 32-bit floats, as in trec_eval 9 and pytrec_eval;
    `precision="double"` compares them as trec_eval 10 does.

    Queries in both are evaluated. A query of the qrels that the run lacks is left out, or with
    `complete=True` (trec_eval's `-c`) counts as having retrieved nothing; one that only the run has is always
    left out. Both are listed in the result. A query without relevant documents scores 0 and stays in the
    mean.

    `relevance_level` is trec_eval's `-l`, `max_docs` its `-M`, `judged_only` its `-J`.

    >>> evaluate({"q": {"a": 1}}, {"q": {"a": 0.2, "b": 0.9}}, ["RR", "P@1"])
    Evaluation over 1 queries: RR 0.5000  P@1 0.0000
    """
    if isinstance(measures, str | Measure):
        measures = [measures]
    parsed = {str(m): parse_measure(m) for m in measures}
    if max_docs is not None and max_docs < 1:
        raise ValueError(f"max_docs must be at least 1, or None for all, not {max_docs}")
    if precision not in ("single", "double"):
        raise ValueError(f'precision is "single" or "double", not {precision!r}')
    options = (precision == "single", max_docs or 0, judged_only)
    if isinstance(qrels, np.ndarray) and isinstance(run, np.ndarray):
        queries, ranked = _side_by_side(qrels, run, options)
        return _figures(queries, ranked, parsed, relevance_level, [], [])

    judged, retrieved = load(qrels, "qrels"), load(run, "run")
    judged_names = judged.arrays[0] if isinstance(judged, Columns) else _names(judged)
    run_names = retrieved.arrays[0] if isinstance(retrieved, Columns) else _names(retrieved)
    rows = {query: row for row, query in enumerate(run_names)}
    known = set(judged_names)
    not_retrieved = [query for query in judged_names if query not in rows]
    not_judged = [query for query in run_names if query not in known]
    queries = [query for query in judged_names if complete or query in rows]
    if not queries:
        raise ValueError(
            "no query stands in both the qrels and the run; "
            f"the qrels have {judged_names[:3]}…, the run {run_names[:3]}…"
        )
    if (
        isinstance(judged, Columns)
        and isinstance(retrieved, Columns)
        and not (judged.integers and retrieved.integers)
    ):
        judged, retrieved = judged.text(), retrieved.text()
    if isinstance(judged, dict) or isinstance(retrieved, dict) or type(judged) is not type(retrieved):
        ranked = Ranked(
            *_C.rank_dicts(as_dict(judged, "qrels"), as_dict(retrieved, "run"), queries, *options)
        )
    else:
        run_rows = np.array([rows.get(query, -1) for query in queries], dtype=np.int64)
        qrel_rows = np.array([i for i, q in enumerate(judged_names) if complete or q in rows], dtype=np.int64)
        try:
            ranked = _rank_columns(judged, retrieved, run_rows, qrel_rows, options)
        except ValueError as error:
            files = ", ".join(str(x) for x in (qrels, run) if isinstance(x, str | os.PathLike))
            raise ValueError(f"{error} ({files})" if files else str(error)) from error
    return _figures(queries, ranked, parsed, relevance_level, not_retrieved, not_judged)


def _names(loaded: TextColumns | dict[str, Any]) -> list[str]:
    return loaded.queries if isinstance(loaded, TextColumns) else list(loaded)


def _rank_columns(
    judged: TextColumns | Columns,
    retrieved: TextColumns | Columns,
    run_rows: NDArray[np.int64],
    qrel_rows: NDArray[np.int64],
    options: tuple[bool, int, bool],
) -> Ranked:
    if isinstance(judged, Columns) and isinstance(retrieved, Columns):
        _, run_offsets, run_ids, scores = retrieved.arrays
        _, qrel_offsets, qrel_ids, levels = judged.arrays
        return Ranked(
            *_C.rank_int_ids(
                run_offsets, run_ids, scores, qrel_offsets, qrel_ids, levels, run_rows, qrel_rows, *options
            )
        )
    assert isinstance(judged, TextColumns)
    assert isinstance(retrieved, TextColumns)
    r, q = retrieved, judged
    levels32 = q.values.astype(np.int32)
    return Ranked(
        *_C.rank_text_ids(
            *(r.offsets, r.buffer, r.starts, r.lengths, r.values),
            *(q.offsets, q.buffer, q.starts, q.lengths, levels32),
            run_rows,
            qrel_rows,
            *options,
        )
    )


def _side_by_side(
    relevance: NDArray[Any], scores: NDArray[Any], options: tuple[bool, int, bool]
) -> tuple[list[str], Ranked]:
    if relevance.ndim != 2 or relevance.shape != scores.shape:
        raise ValueError(
            "side-by-side arrays must both be (queries x documents), "
            f"not {relevance.shape} and {scores.shape}; use metrics.Columns for ragged lists"
        )
    if not np.issubdtype(relevance.dtype, np.integer) and relevance.dtype != np.bool_:
        raise TypeError(f"relevance must be an integer array, not {relevance.dtype}")
    check_levels(relevance, "relevance array")
    offsets = np.arange(len(scores) + 1, dtype=np.int64) * scores.shape[1]
    ranked = _C.rank_aligned(
        offsets, scores.ravel().astype(np.float64), relevance.ravel().astype(np.int32), *options
    )
    return [str(i) for i in range(len(scores))], Ranked(*ranked)


def _figures(
    queries: list[str],
    ranked: Ranked,
    measures: dict[str, Measure],
    level: int,
    not_retrieved: list[str],
    not_judged: list[str],
) -> Evaluation:
    values = {name: measure(ranked, level) for name, measure in measures.items()}
    means = {
        name: float(v.sum() if measures[name].total else v.mean()) if v.size else 0.0
        for name, v in values.items()
    }
    return Evaluation(tuple(queries), values, means, tuple(not_retrieved), tuple(not_judged))
