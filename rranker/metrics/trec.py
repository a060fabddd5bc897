"""TREC runs and qrels: files in, files out; `.gz` by the name's ending."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

from rranker import _C
from rranker.metrics.inputs import TextColumns

PathLike = str | os.PathLike[str]


def read_columns(path: PathLike, role: str) -> TextColumns:
    """A TREC file as columns. `role` is "run" or "qrels". A malformed row is named with its file and line."""
    name = os.fspath(path)
    try:
        data = Path(name).read_bytes()
    except OSError as error:
        raise FileNotFoundError(f"cannot read the {role} file {name}: {error.strerror}") from error
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{name} is not a whole gzip file: {error}") from error
    queries, offsets, starts, lengths, values, tag = _C.parse_trec(data, role == "run", name)
    return TextColumns(queries, offsets, data, starts, lengths, values, tag)


def read_run(path: PathLike) -> dict[str, dict[str, float]]:
    """{query: {document: score}} of a run file: `query Q0 document rank score tag`, the rank being
    ignored."""
    return _named(path, read_columns(path, "run"))


def read_qrels(path: PathLike) -> dict[str, dict[str, int]]:
    """{query: {document: level}} of a qrels file: `query 0 document level`."""
    rows = _named(path, read_columns(path, "qrels"))
    return {query: {doc: int(level) for doc, level in docs.items()} for query, docs in rows.items()}


def _named(path: PathLike, columns: TextColumns) -> dict[str, dict[str, float]]:
    try:
        return columns.to_dict()
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error


def write_run(path: PathLike, run: Mapping[str, Mapping[str, float]], *, tag: str = "rranker") -> None:
    """Writes a run, documents by falling score, ties by falling id. Scores are written in full."""
    _check(tag, "tag")
    lines = []
    for query, docs in run.items():
        _check(query, "query")
        ranked = sorted(docs.items(), key=lambda item: (item[1], item[0]), reverse=True)
        for rank, (doc, score) in enumerate(ranked, 1):
            _check(doc, "document id")
            if math.isnan(score):
                raise ValueError(f"document {doc!r} of query {query!r} has no score (NaN)")
            lines.append(f"{query} Q0 {doc} {rank} {float(score)!r} {tag}\n")
    _write(path, "".join(lines))


def write_qrels(path: PathLike, qrels: Mapping[str, Mapping[str, int]]) -> None:
    """Writes qrels."""
    lines = []
    for query, docs in qrels.items():
        _check(query, "query")
        for doc, level in docs.items():
            _check(doc, "document id")
            lines.append(f"{query} 0 {doc} {int(level)}\n")
    _write(path, "".join(lines))


def _check(text: str, what: str) -> None:
    if not text or text.split() != [text] or (what == "query" and text.startswith("#")):
        raise ValueError(f"the {what} {text!r} cannot stand in a TREC file: empty, with blanks, or a comment")


def _write(path: PathLike, text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    name = os.fspath(path)
    Path(name).write_bytes(gzip.compress(data, 6, mtime=0) if name.endswith(".gz") else data)
