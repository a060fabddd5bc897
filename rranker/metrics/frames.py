"""DataFrames of runs and qrels -> columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from rranker.ids import as_ids, id_text
from rranker.metrics.columns import TextColumns, check_levels, check_scores, text_columns

QUERY_NAMES = ("query_id", "qid", "query", "q_id", "topic", "query-id", "queryid")
DOC_NAMES = ("doc_id", "docno", "docid", "doc", "document_id", "corpus-id", "corpus_id", "pid", "passage_id")
VALUE_NAMES = {"qrels": ("relevance", "rel", "label", "grade", "score"), "run": ("score", "sim", "rank")}


def from_frame(frame: Any, role: str) -> TextColumns:
    """A DataFrame with columns for query, document and value, under any of the common names.

    A run that has ranks and no scores is read by its ranks, best first. Raises ValueError for missing columns and
    values, and TypeError for ids and values of a wrong type, naming the column.
    """
    names = {str(c).lower(): c for c in frame.columns}
    picked = []
    for wanted in (QUERY_NAMES, DOC_NAMES, VALUE_NAMES[role]):
        named = next((names[n] for n in wanted if n in names), None)
        if named is None:
            raise ValueError(
                f"the {role} DataFrame needs a column called {' or '.join(wanted)}; it has {list(frame.columns)}"
            )
        picked.append(frame[named].infer_objects())
    for column in picked:
        missing = column.isna().to_numpy()
        if missing.any():
            raise ValueError(
                f"column {column.name!r} of the {role} DataFrame has a missing value in row {int(missing.argmax())}"
            )
    query, doc, value = picked
    values = value.to_numpy()
    if role == "qrels":
        check_levels(values, f"{role} DataFrame's column {value.name!r}")
    else:
        check_scores(values, f"{role} DataFrame's column {value.name!r}")
    if str(value.name).lower() == "rank":
        values = -values.astype(np.float64)
    (codes, queries), (doc_codes, docs) = query.factorize(), doc.factorize()
    both = [(query, item) for item in queries.tolist()] + [(doc, item) for item in docs.tolist()]
    ids = as_ids(
        (item for _, item in both),
        lambda place: f"{both[place][1]!r} in column {both[place][0].name!r} of the {role} DataFrame",
    )
    texts = [id_text(i) for i in ids]
    numbers: dict[str, int] = {}  # 7 and "7" are one query
    codes = np.array(
        [numbers.setdefault(text, len(numbers)) for text in texts[: len(queries)]], dtype=np.int64
    )[codes]
    order = np.argsort(codes, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(numbers)))]).astype(np.int64)
    doc_texts = texts[len(queries) :]
    return text_columns(
        list(numbers), offsets, [doc_texts[i] for i in doc_codes[order].tolist()], values[order]
    )
