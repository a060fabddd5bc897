"""Collections in the shape of ir_datasets: queries with the documents that a first stage found. Needs no package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Run = Mapping[str, Mapping[str, float] | Iterable[str]]


def collection_queries(
    collection: Any, run: Run | None = None, *, top_k: int = 100
) -> Iterator[dict[str, Any]]:
    """For each query of a collection that a first stage answered, what `Ranker.rank_batch` takes.

    Args:
        collection: an `ir_datasets` dataset, or what has `queries_iter()`, `docs_store()` and, where `run` is None,
            `scoreddocs_iter()`.
        run: documents by query, as {document: score} or as ids, best first; None is what the collection brings.
        top_k: so many a query, the best; equal scores as the run has them.

    Texts are those of `default_text()`. Candidates keep their ids; a document that is found twice counts once.

    Raises ValueError when the collection lacks a document, a query of the run, or a run where none is given.
    """
    found = dict(_collection_run(collection) if run is None else run)
    store = collection.docs_store()
    for query in collection.queries_iter():
        answers = found.pop(query.query_id, None)
        if answers is None:
            continue
        docids = _best(answers, top_k)
        documents = store.get_many(docids)
        missing = [docid for docid in docids if docid not in documents]
        if missing:
            raise ValueError(f"query {query.query_id!r}: the collection has no document {missing[0]!r}")
        candidates = [{"id": docid, "text": documents[docid].default_text()} for docid in docids]
        yield {"id": query.query_id, "query": query.default_text(), "candidates": candidates}
    if found:
        raise ValueError(f"the collection has no query {next(iter(found))!r}, which the run answers")


def _collection_run(collection: Any) -> dict[str, dict[str, float]]:
    if (
        not hasattr(collection, "scoreddocs_iter")
        or not getattr(collection, "has_scoreddocs", lambda: True)()
    ):
        raise ValueError("this collection brings no first stage's results (scoreddocs): pass run=")
    found: dict[str, dict[str, float]] = {}
    for scored in collection.scoreddocs_iter():
        found.setdefault(scored.query_id, {})[scored.doc_id] = scored.score
    return found


def _best(answers: Mapping[str, float] | Iterable[str], top_k: int) -> list[str]:
    if isinstance(answers, Mapping):
        return sorted(answers, key=answers.__getitem__, reverse=True)[:top_k]
    return list(dict.fromkeys(answers))[:top_k]
