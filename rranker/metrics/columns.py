"""Runs and qrels as columns: rows grouped by query (CSR), ids as arrays or as slices of one buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rranker.ids import as_ids, id_text


@dataclass(frozen=True)
class TextColumns:
    """Rows grouped by query (CSR). Document ids are slices of a UTF-8 buffer."""

    queries: list[str]
    offsets: NDArray[np.int64]
    buffer: bytes
    starts: NDArray[np.int64]
    lengths: NDArray[np.int32]
    values: NDArray[np.float64]

    def documents(self, first: int, last: int) -> list[str]:
        """The ids of rows `first` to `last` - 1."""
        slices = zip(self.starts[first:last].tolist(), self.lengths[first:last].tolist(), strict=True)
        return [self.buffer[s : s + n].decode("utf-8", "surrogateescape") for s, n in slices]

    def to_dict(self) -> dict[str, dict[str, float]]:
        """{query: {document: value}}. Raises ValueError when a document appears twice for a query."""
        return _rows(self.queries, self.offsets, self.documents(0, len(self.starts)), self.values)


@dataclass(frozen=True)
class Columns:
    """A run or qrels as arrays: document ids and values (scores or relevance), rows grouped by query.

    `offsets` is CSR: query i's rows are `offsets[i]:offsets[i + 1]`. 2-D `ids` and `values` need none.
    `queries` names the queries (default: "0", "1", …). Integer ids are the same documents as their decimal
    text; `rranker.ids` says what else may be an id.
    """

    ids: ArrayLike
    values: ArrayLike
    offsets: ArrayLike | None = None
    queries: Sequence[Any] | None = None
    arrays: tuple[Any, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ids, values = np.asarray(self.ids), np.asarray(self.values)
        if ids.shape != values.shape:
            raise ValueError(f"ids and values must have one shape, not {ids.shape} and {values.shape}")
        if self.offsets is None:
            if ids.ndim != 2:
                raise ValueError("give offsets (CSR), or 2-D ids and values (queries x documents)")
            offsets = np.arange(len(ids) + 1, dtype=np.int64) * ids.shape[1]
        else:
            offsets = np.ascontiguousarray(self.offsets, dtype=np.int64)
        names = range(len(offsets) - 1) if self.queries is None else self.queries
        queries = [id_text(query) for query in as_ids(names, "queries")]
        if len(queries) != len(offsets) - 1:
            raise ValueError(f"{len(queries)} query names for {len(offsets) - 1} queries")
        if len(set(queries)) != len(queries):
            raise ValueError("two queries have the same name; put all rows of a query together")
        object.__setattr__(self, "arrays", (queries, offsets, _id_array(ids.ravel()), values.ravel()))

    @property
    def integers(self) -> bool:
        """Are the document ids integers of 64 bits?"""
        return bool(np.issubdtype(self.arrays[2].dtype, np.integer))

    def text(self) -> TextColumns:
        """The same rows with ids as text."""
        queries, offsets, ids, values = self.arrays
        return text_columns(queries, offsets, [str(i) for i in ids.tolist()], values)


def _id_array(ids: NDArray[Any]) -> NDArray[Any]:
    """Integers of 64 bits as they are, all else as text under the rule for ids."""
    if ids.dtype.kind in "Ui" or (ids.dtype.kind == "u" and (ids.size == 0 or int(ids.max()) < 2**63)):
        return ids
    values = [i.decode() for i in ids.tolist()] if ids.dtype.kind == "S" else ids.tolist()
    unified = as_ids(values, "ids")
    if ids.dtype.kind == "f":
        return np.array(unified, dtype=np.int64)
    return np.array([id_text(i) for i in unified], dtype=object)


def text_columns(
    queries: list[str], offsets: NDArray[np.int64], docs: list[str], values: NDArray[Any]
) -> TextColumns:
    """Columns with the ids `docs`, one a row."""
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
            seen = set[str]()
            twice = next(d for d in docs[lo:hi] if d in seen or seen.add(d))  # type: ignore[func-returns-value]
            raise ValueError(f"document {twice!r} stands twice for query {query!r}")
        result[query] = rows
    return result


def check_levels(values: NDArray[Any], name: str) -> None:
    """Raises TypeError for relevance that is not whole, and ValueError where it does not fit 32 bits."""
    if values.dtype.kind not in "iub" and (values.dtype.kind != "f" or not np.all(np.mod(values, 1) == 0)):
        raise TypeError(f"the {name} must hold whole numbers as relevance; round or bin graded labels first")
    if values.size and np.abs(values.astype(np.float64)).max() >= 2**31:
        raise ValueError(f"the {name} must hold relevance levels that fit 32 bits")


def check_scores(values: NDArray[Any], name: str) -> None:
    """Raises TypeError for scores that are not numbers."""
    if values.dtype.kind not in "iufb":
        raise TypeError(f"the {name} must hold numbers as scores, not {values.dtype}")
