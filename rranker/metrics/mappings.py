"""Dicts and rankings -> {query: {document: value}} with ids as text, under the one rule for ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rranker.falling import strictly_falling
from rranker.ids import as_ids, id_text
from rranker.types import Ranking

Rows = dict[str, dict[str, Any]]


def from_mapping(source: Mapping[Any, Any], role: str) -> Rows:
    """A dict of dicts, or of a run's `Ranking`s, by query id. Query ids become text, and document ids with them.

    A dict of dicts by strings is returned as it is: its document ids may still be others (see `with_text_ids`).
    Raises TypeError and ValueError as `with_text_ids` does.
    """
    if isinstance(source, dict) and all(type(q) is str and isinstance(d, dict) for q, d in source.items()):
        return source
    return with_text_ids(source, role)


def with_text_ids(source: Mapping[Any, Any], role: str) -> Rows:
    """The rows of `source` with all ids as text.

    Raises TypeError and ValueError for ids that are none, for two that are one (7 and "7"), and for rows that are no
    dict (and no Ranking).
    """
    queries, rows = list(source), [_documents(docs, role, query) for query, docs in source.items()]
    sizes = np.cumsum([len(queries), *(len(docs) for docs, _ in rows)])

    def what(place: int) -> str:
        if place < len(queries):
            return f"the query id {queries[place]!r} of the {role}"
        row = int(np.searchsorted(sizes, place, "right")) - 1
        return f"the document id {rows[row][0][place - sizes[row]]!r} in {role}[{queries[row]!r}]"

    ids = as_ids([*queries, *(doc for docs, _ in rows for doc in docs)], what)
    texts = [id_text(i) for i in ids]
    result: Rows = {}
    for number, query in enumerate(texts[: len(queries)]):
        if query in result:
            raise ValueError(
                f"two query ids of the {role} are {query!r} as text; put all rows of a query together"
            )
        docs = texts[sizes[number] : sizes[number + 1]]
        result[query] = dict(zip(docs, rows[number][1], strict=True))
        if len(result[query]) != len(docs):
            twice = next(doc for place, doc in enumerate(docs) if doc in docs[:place])
            raise ValueError(f"document {twice!r} stands twice in {role}[{queries[number]!r}]")
    return result


def from_rankings(rankings: Sequence[Any], role: str) -> Rows:
    """What `rank_batch` returns, as a run: each ranking under the id its query was given."""
    run: dict[Any, Ranking] = {}
    for place, ranking in enumerate(rankings):
        if not isinstance(ranking, Ranking):
            raise TypeError(
                f"the {role} is a list whose item {place} is a {type(ranking).__name__}, not a Ranking"
            )
        if ranking.query_id is None:
            raise ValueError(
                f"ranking {place} of the {role} has no query_id: give rank_batch an id with each query, or pass a "
                "dict {query id: Ranking}"
            )
        if ranking.query_id in run:
            raise ValueError(f"two rankings of the {role} have the query_id {ranking.query_id!r}")
        run[ranking.query_id] = ranking
    return from_mapping(run, role)


def _documents(docs: Any, role: str, query: Any) -> tuple[list[Any], list[Any]]:
    if isinstance(docs, Mapping):
        return list(docs), list(docs.values())
    if not isinstance(docs, Ranking) or role != "run":
        kinds = "dict of documents or a Ranking" if role == "run" else "dict of documents"
        raise TypeError(f"{role}[{query!r}] must be a {kinds}, not {type(docs).__name__}")
    nameless = next((item for item in docs if item.id is None), None)
    if nameless is not None:
        raise ValueError(
            f"candidate {nameless.index} in {role}[{query!r}] has no id to look up in the qrels: rank candidates with "
            "ids, such as {'id': 'd7', 'text': …}"
        )
    return [item.id for item in docs], strictly_falling([item.score for item in docs])
