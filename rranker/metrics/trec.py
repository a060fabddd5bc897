"""Readers of runs and qrels: TREC's formats, BEIR's and MS MARCO's; plain or gzip."""

from __future__ import annotations

import os

from rranker import _C
from rranker.files import PathLike, read_bytes
from rranker.metrics.columns import TextColumns


def read_columns(path: PathLike, role: str, data: bytes | None = None) -> TextColumns:
    """A file of a run or qrels as columns. `role` is "run" or "qrels".

    Rows are TREC's (`query Q0 document rank score tag`, `query 0 document level`), BEIR's (`query document score`
    under a header line) or, in a run, MS MARCO's (`query document rank`; the scores are the negated ranks).
    A byte-order mark and any line ends are read. Raises ValueError naming file and line for a malformed row, OSError
    for a file that cannot be read. `data`: its content where that was read already; `path` then only names it.
    """
    data = read_bytes(path, f"{role} file") if data is None else data
    queries, offsets, starts, lengths, values, _ = _C.parse_trec(data, role == "run", os.fsdecode(path))
    return TextColumns(queries, offsets, data, starts, lengths, values)


def read_run(path: PathLike, data: bytes | None = None) -> dict[str, dict[str, float]]:
    """{query: {document: score}} of a run file in any format of `read_columns`; TREC's rank column is ignored.

    `data`: its content where that was read already; `path` then only names it.
    """
    return _named(path, read_columns(path, "run", data))


def read_qrels(path: PathLike) -> dict[str, dict[str, int]]:
    """{query: {document: level}} of a qrels file in any format of `read_columns`."""
    rows = _named(path, read_columns(path, "qrels"))
    return {query: {doc: int(level) for doc, level in docs.items()} for query, docs in rows.items()}


def _named(path: PathLike, columns: TextColumns) -> dict[str, dict[str, float]]:
    try:
        return columns.to_dict()
    except ValueError as error:
        raise ValueError(f"{os.fsdecode(path)}: {error}") from error
