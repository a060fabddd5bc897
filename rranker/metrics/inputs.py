"""Runs and qrels in any of the accepted forms -> columns or dicts that the extension ranks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from rranker.metrics.columns import Columns, TextColumns, check_levels, check_scores
from rranker.metrics.frames import from_frame
from rranker.metrics.mappings import Rows, from_mapping, from_rankings
from rranker.metrics.trec import read_columns
from rranker.types import Ranking

Loaded = Rows | TextColumns | Columns


def load(source: Any, role: str) -> Loaded:
    """Any accepted form, its ids as text or 64-bit integers; `role` is "qrels" or "run"."""
    if isinstance(source, str | os.PathLike):
        return read_columns(source, role)
    if isinstance(source, Columns):
        (check_levels if role == "qrels" else check_scores)(source.arrays[3], role)
        return source
    if isinstance(source, TextColumns):
        return source
    if isinstance(source, Mapping):
        return from_mapping(source, role)
    if role == "run" and isinstance(source, Ranking):
        return from_rankings([source], role)
    if (
        role == "run"
        and isinstance(source, list | tuple)
        and any(isinstance(item, Ranking) for item in source)
    ):
        return from_rankings(source, role)
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        return from_frame(source, role)
    rankings = " or of Rankings, a Ranking" if role == "run" else ""
    raise TypeError(
        f"the {role} must be a dict of dicts{rankings}, a pandas DataFrame, metrics.Columns or the path of a file, "
        f"not {type(source).__name__}"
    )


def as_dict(loaded: Loaded, role: str) -> Rows:
    """{query: {document: value}} of what `load` returned; document ids of a dict may still be other than text."""
    if isinstance(loaded, Columns):
        loaded = loaded.text()
    if isinstance(loaded, TextColumns):
        rows = loaded.to_dict()
        return {q: {d: int(v) for d, v in r.items()} for q, r in rows.items()} if role == "qrels" else rows
    return loaded


def query_names(loaded: Loaded) -> list[str]:
    """The queries, in their order."""
    if isinstance(loaded, Columns):
        return list(loaded.arrays[0])
    return loaded.queries if isinstance(loaded, TextColumns) else list(loaded)


def some_documents(loaded: Loaded, query: str, most: int = 3) -> list[str]:
    """The first few document ids of a query, for messages."""
    if isinstance(loaded, dict):
        return list(loaded[query])[:most]
    row = query_names(loaded).index(query)
    if isinstance(loaded, TextColumns):
        first, last = loaded.offsets[row : row + 2].tolist()
        return loaded.documents(first, min(last, first + most))
    first, last = loaded.arrays[1][row : row + 2].tolist()
    return [str(i) for i in loaded.arrays[2][first : min(last, first + most)].tolist()]
