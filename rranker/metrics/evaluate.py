"""`evaluate`: qrels and a run in, figures out, equal to trec_eval's."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rranker import _C
from rranker.choices import one_of
from rranker.metrics.columns import Columns, TextColumns, check_levels, check_scores
from rranker.metrics.evaluation import Evaluation
from rranker.metrics.inputs import Loaded, as_dict, load, query_names, some_documents
from rranker.metrics.mappings import Rows, with_text_ids
from rranker.metrics.measure import Measure, Ranked
from rranker.metrics.names import parse_measures
from rranker.types import Ranking
from rranker.whole import whole_number

Apart = NDArray[np.uint8]  # 1 for a query whose qrels and run share no document


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

    `qrels` and `run` are dicts `{query: {document: value}}`, DataFrames, paths of files (TREC's, BEIR's or MS MARCO's
    columns, also `.gz`), `Columns` of arrays, or both NumPy arrays (queries x documents) of relevance and scores that
    lie side by side. A run may also be `{query: Ranking}`, the list of Rankings that `rank_batch` returns for queries
    with ids, or one Ranking where the qrels hold one query. Ids compare as text: 7 and "7" are one document
    (`rranker.ids` says what may be an id). Levels are whole numbers, also as 1.0.

    Documents rank by falling score, ties by falling document id (of side-by-side arrays: later place first);
    a run's own rank column is ignored. Scores compare as 32-bit floats, as in trec_eval 9 and pytrec_eval;
    `precision="double"` compares them as trec_eval 10 does.

    Queries in both are evaluated. A query of the qrels that the run lacks is left out, or with
    `complete=True` (trec_eval's `-c`) counts as having retrieved nothing; one that only the run has is always
    left out. Both are listed in the result. A query without relevant documents scores 0 and stays in the
    mean. Queries for which qrels and run share no document are listed too, with a warning: ids written in two
    ways look like that.

    `relevance_level` (1 or more) is trec_eval's `-l`, `max_docs` its `-M`, `judged_only` its `-J`.

    Raises TypeError and ValueError for input that cannot be read so, naming query, document, column, or file and line.

    >>> evaluate({"q": {"a": 1}}, {"q": {"a": 0.2, "b": 0.9}}, ["RR", "P@1"])
    Evaluation over 1 queries: RR 0.5000  P@1 0.0000
    """
    if isinstance(measures, str | Measure):
        measures = [measures]
    parsed = {name: measure for m in measures for name, measure in parse_measures(m).items()}
    level = whole_number(relevance_level, "relevance_level", least=1)
    most = 0 if max_docs is None else whole_number(max_docs, "max_docs", least=1)
    one_of(precision, "precision", ("single", "double"))
    options = (precision == "single", most, judged_only)
    if isinstance(qrels, np.ndarray) and isinstance(run, np.ndarray):
        queries, ranked = _side_by_side(qrels, run, options)
        return Evaluation(queries, parsed, {name: measure(ranked, level) for name, measure in parsed.items()})

    judged = load(qrels, "qrels")
    judged_names = query_names(judged)
    if isinstance(run, Ranking) and run.query_id is None:
        if len(judged_names) != 1:
            raise ValueError(
                f"the run is one Ranking without a query_id and the qrels hold {len(judged_names)} queries: pass "
                "a dict {query id: Ranking}"
            )
        run = {judged_names[0]: run}
    retrieved = load(run, "run")
    run_names = query_names(retrieved)
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
    try:
        if isinstance(judged, dict) or isinstance(retrieved, dict) or type(judged) is not type(retrieved):
            ranked, apart = _rank_dicts(as_dict(judged, "qrels"), as_dict(retrieved, "run"), queries, options)
        else:
            run_rows = np.array([rows.get(query, -1) for query in queries], dtype=np.int64)
            qrel_rows = np.array(
                [i for i, q in enumerate(judged_names) if complete or q in rows], dtype=np.int64
            )
            ranked, apart = _rank_columns(judged, retrieved, run_rows, qrel_rows, options)
    except ValueError as error:
        files = ", ".join(os.fsdecode(x) for x in (qrels, run) if isinstance(x, str | os.PathLike))
        if not files:
            raise
        raise ValueError(f"{error} ({files})") from error
    nothing_shared = [query for query, none in zip(queries, apart.tolist(), strict=True) if none]
    if nothing_shared:
        _warn(nothing_shared, len(queries), judged, retrieved)
    values = {name: measure(ranked, level) for name, measure in parsed.items()}
    return Evaluation(queries, parsed, values, not_retrieved, not_judged, nothing_shared)


def _warn(nothing_shared: list[str], queries: int, judged: Loaded, retrieved: Loaded) -> None:
    query = nothing_shared[0]
    warnings.warn(
        f"for {len(nothing_shared)} of {queries} queries the qrels and the run share no document, so nothing relevant "
        f"was retrieved: for query {query!r} the qrels have {some_documents(judged, query)}, the run "
        f"{some_documents(retrieved, query)}. Are ids written alike on both sides?",
        stacklevel=3,
    )


def _split(arrays: tuple[Any, ...]) -> tuple[Ranked, Apart]:
    return Ranked(*arrays[:4]), arrays[4]


def _rank_dicts(
    judged: Rows, retrieved: Rows, queries: list[str], options: tuple[bool, int, bool]
) -> tuple[Ranked, Apart]:
    ranked = _C.rank_dicts(judged, retrieved, queries, *options)
    if ranked is None:  # some document ids are no text
        judged, retrieved = with_text_ids(judged, "qrels"), with_text_ids(retrieved, "run")
        ranked = _C.rank_dicts(judged, retrieved, queries, *options)
        assert ranked is not None
    return _split(ranked)


def _rank_columns(
    judged: TextColumns | Columns,
    retrieved: TextColumns | Columns,
    run_rows: NDArray[np.int64],
    qrel_rows: NDArray[np.int64],
    options: tuple[bool, int, bool],
) -> tuple[Ranked, Apart]:
    if isinstance(judged, Columns) and isinstance(retrieved, Columns):
        _, run_offsets, run_ids, scores = retrieved.arrays
        _, qrel_offsets, qrel_ids, levels = judged.arrays
        return _split(
            _C.rank_int_ids(
                run_offsets, run_ids, scores, qrel_offsets, qrel_ids, levels, run_rows, qrel_rows, *options
            )
        )
    assert isinstance(judged, TextColumns)
    assert isinstance(retrieved, TextColumns)
    r, q = retrieved, judged
    levels32 = q.values.astype(np.int32)
    return _split(
        _C.rank_text_ids(
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
    check_levels(relevance, "relevance array")
    check_scores(scores, "score array")
    offsets = np.arange(len(scores) + 1, dtype=np.int64) * scores.shape[1]
    ranked = _C.rank_aligned(
        offsets, scores.ravel().astype(np.float64), relevance.ravel().astype(np.int32), *options
    )
    return [str(i) for i in range(len(scores))], _split(ranked)[0]
