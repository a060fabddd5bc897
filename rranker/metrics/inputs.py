"""Runs and qrels in any of the accepted forms -> columns or dicts that the extension ranks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

QUERY_NAMES = ("query_id", "qid", "query", "q_id", "topic")
DOC_NAMES = ("doc_id", "docno", "docid", "doc", "document_id")
VALUE_NAMES = {"qrels": ("relevance", "rel", "label", "grade"), "run": ("score", "sim")}


@dataclass(frozen=True)
class TextColumns:
    """Rows grouped by query (CSR). Document ids are slices of a UTF-8 buffer."""

    queries: list[str]
    offsets: NDArray[np.int64]
    buffer: bytes
    starts: NDArray[np.int64]
    lengths: NDArray[np.int32]
    values: NDArray[np.float64]
    tag: str = ""

    def to_dict(self) -> dict[str, dict[str, float]]:
        starts, lengths = self.starts.tolist(), self.lengths.tolist()
        docs = [
            self.buffer[s : s + n].decode("utf-8", "surrogateescape")
            for s, n in zip(starts, lengths, strict=True)
        ]
        return _rows(self.queries, self.offsets, docs, self.values)


@dataclass(frozen=True)
class Columns:
    """A run or qrels as arrays: document ids and values (scores or relevance), rows grouped by query.

    `offsets` is CSR: query i's rows are `offsets[i]:offsets[i + 1]`. 2-D `ids` and `values` need none.
    `queries` names the queries (default: "0", "1", …). Integer ids are the same documents as their decimal
    text.
    """

    ids: ArrayLike
    values: ArrayLike
    offsets: ArrayLike | None = None
    queries: Sequence[str] | None = None
    arrays: tuple[Any, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ids, values = np.asarray(self.ids), np.asarray(self.values)
        if ids.shape != values.shape:
            raise ValueError(f"ids and values must have one shape, not {ids.shape} and {values.shape}")
        if ids.size and ids.dtype.kind not in "iuSUO":
            raise TypeError(f"document ids must be integers or text, not {ids.dtype}")
        if self.offsets is None:
            if ids.ndim != 2:
                raise ValueError("give offsets (CSR), or 2-D ids and values (queries x documents)")
            offsets = np.arange(len(ids) + 1, dtype=np.int64) * ids.shape[1]
        else:
            offsets = np.ascontiguousarray(self.offsets, dtype=np.int64)
        queries = [str(i) for i in range(len(offsets) - 1)] if self.queries is None else list(self.queries)
        if len(queries) != len(offsets) - 1:
            raise ValueError(f"{len(queries)} query names for {len(offsets) - 1} queries")
        if len(set(queries)) != len(queries):
            raise ValueError("two queries have the same name; put all rows of a query together")
        object.__setattr__(self, "arrays", (queries, offsets, ids.ravel(), values.ravel()))

    @property
    def integers(self) -> bool:
        return bool(np.issubdtype(self.arrays[2].dtype, np.integer))

    def text(self) -> TextColumns:
        queries, offsets, ids, values = self.arrays
        docs = [i.decode() if isinstance(i, bytes) else str(i) for i in ids.tolist()]
        return text_columns(queries, offsets, docs, values)


def text_columns(
    queries: list[str], offsets: NDArray[np.int64], docs: list[str], values: NDArray[Any]
) -> TextColumns:
    encoded = [doc.encode("utf-8", "surrogateescape") for doc in docs]
    lengths = np.fromiter(map(len, encoded), dtype=np.int32, count=len(encoded))
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    return TextColumns(
        queries, offsets, b"".join(encoded), starts, lengths, np.ascontiguousarray(values, dtype=np.float64)
    )


def _rows(
    queries: list[str], offsets: NDArray[np.int64], docs: list[str], values: NDArray[np.float64]
) -> dict[str, dict[str, float]]:
    numbers, ends = values.tolist(), offsets.tolist()
    result = {}
    for i, query in enumerate(queries):
        lo, hi = ends[i], ends[i + 1]
        rows = dict(zip(docs[lo:hi], numbers[lo:hi], strict=True))
        if len(rows) != hi - lo:
            twice = next(d for n, d in enumerate(docs[lo:hi]) if d in docs[lo : lo + n])
            raise ValueError(f"document {twice!r} stands twice for query {query!r}")
        result[query] = rows
    return result


def from_frame(frame: Any, role: str) -> TextColumns:
    """A DataFrame with columns for query, document and value, under any of the common names."""
    names = {str(c).lower(): c for c in frame.columns}
    picked = []
    for wanted in (QUERY_NAMES, DOC_NAMES, VALUE_NAMES[role]):
        found = next((names[n] for n in wanted if n in names), None)
        if found is None:
            raise ValueError(
                f"the {role} DataFrame needs a column called {' or '.join(wanted)}; "
                f"it has {list(frame.columns)}"
            )
        picked.append(frame[found].infer_objects())
    query, doc, value = picked
    if query.isna().any() or doc.isna().any() or value.isna().any():
        raise ValueError(f"the {role} DataFrame has missing values in {[p.name for p in picked]}")
    if role == "qrels":
        check_levels(value.to_numpy(), role)
    codes, uniques = query.factorize()
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes, minlength=len(uniques))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    docs = doc.astype(str).to_numpy()[order].tolist()
    values = value.to_numpy()[order].astype(np.float64)
    return text_columns([str(u) for u in uniques], offsets, docs, values)


def check_levels(values: NDArray[Any], name: str) -> None:
    """Raises TypeError for relevance that is not whole, and ValueError where it does not fit 32 bits."""
    if values.dtype.kind not in "iub" and (values.dtype.kind != "f" or not np.all(np.mod(values, 1) == 0)):
        raise TypeError(f"the {name} must hold whole numbers as relevance; round or bin graded labels first")
    if values.size and np.abs(values.astype(np.float64)).max() >= 2**31:
        raise ValueError(f"the {name} must hold relevance levels that fit 32 bits")


Loaded = dict[str, dict[str, Any]] | TextColumns | Columns


def load(source: Any, role: str) -> Loaded:
    """Any accepted form; `role` is "qrels" or "run"."""
    from rranker.metrics.trec import read_columns

    if isinstance(source, str | os.PathLike):
        return read_columns(source, role)
    if isinstance(source, TextColumns | Columns):
        if role == "qrels" and isinstance(source, Columns):
            check_levels(source.arrays[3], role)
        return source
    if isinstance(source, dict):
        return source
    if isinstance(source, Mapping):
        return {query: dict(docs) for query, docs in source.items()}
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        return from_frame(source, role)
    raise TypeError(
        f"the {role} must be a dict of dicts, a pandas DataFrame, metrics.Columns or the path of a TREC file, "
        f"not {type(source).__name__}"
    )


def as_dict(loaded: Loaded, role: str) -> dict[str, dict[str, Any]]:
    if isinstance(loaded, Columns):
        loaded = loaded.text()
    if isinstance(loaded, TextColumns):
        rows = loaded.to_dict()
        return {q: {d: int(v) for d, v in r.items()} for q, r in rows.items()} if role == "qrels" else rows
    return loaded
