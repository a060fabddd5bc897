"""Writers of TREC runs and qrels; gzip by the name's ending."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from rranker.files import PathLike, as_named
from rranker.metrics.inputs import as_dict, load
from rranker.metrics.mappings import with_text_ids


def write_run(path: PathLike, run: Any, *, tag: str = "rranker") -> None:
    """Writes a run, documents by falling score, ties by falling id. Scores are written in full.

    `run` is anything that `evaluate` takes as one: {query: {document: score}}, {query: Ranking}, a DataFrame, ….
    Raises ValueError for ids that cannot stand in such a file and for NaN, TypeError for other types.
    """
    _check(tag, "tag")
    lines = []
    for query, docs in with_text_ids(as_dict(load(run, "run"), "run"), "run").items():
        _check(query, "query")
        scores = {doc: _score(score, doc, query) for doc, score in docs.items()}
        ranked = sorted(scores.items(), key=lambda item: (item[1], item[0]), reverse=True)
        for rank, (doc, score) in enumerate(ranked, 1):
            _check(doc, "document id")
            lines.append(f"{query} Q0 {doc} {rank} {score!r} {tag}\n")
    _write(path, "".join(lines))


def write_qrels(path: PathLike, qrels: Any) -> None:
    """Writes qrels, given as anything that `evaluate` takes as them. Levels are whole numbers, also as 1.0."""
    lines = []
    for query, docs in with_text_ids(as_dict(load(qrels, "qrels"), "qrels"), "qrels").items():
        _check(query, "query")
        for doc, level in docs.items():
            _check(doc, "document id")
            lines.append(f"{query} 0 {doc} {_level(level, doc, query)}\n")
    _write(path, "".join(lines))


def _score(score: Any, doc: str, query: str) -> float:
    if isinstance(score, str | bytes) or not hasattr(score, "__float__"):
        raise TypeError(
            f"the score of document {doc!r} of query {query!r} must be a number, not {type(score).__name__}"
        )
    number = float(score)
    if math.isnan(number):
        raise ValueError(f"document {doc!r} of query {query!r} has no score (NaN)")
    return number


def _level(level: Any, doc: str, query: str) -> int:
    if not hasattr(level, "__float__") or not float(level).is_integer():
        raise TypeError(f"the relevance of document {doc!r} of query {query!r} must be whole, not {level!r}")
    return int(level)


def _check(text: str, what: str) -> None:
    if not text or text.split() != [text] or (what == "query" and text[0] in "#\ufeff") or "\0" in text:
        raise ValueError(f"the {what} {text!r} cannot stand in a TREC file: empty, with blanks, or a comment")
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the {what} {text!r} cannot stand in a TREC file: it is not Unicode text"
        ) from error


def _write(path: PathLike, text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    Path(os.fsdecode(path)).write_bytes(as_named(path, data))
