"""BEIR's second stage: re-ranks what a retriever found. Needs no package."""

from __future__ import annotations

from collections.abc import Mapping

from .common import Adapter, best


class RRankerRerank(Adapter):
    """In place of `beir.reranking.Rerank`. `settings` are those of `Ranker.rank`."""

    def rerank(
        self,
        corpus: Mapping[str, Mapping[str, str]],
        queries: Mapping[str, str],
        results: Mapping[str, Mapping[str, float]],
        top_k: int,
    ) -> dict[str, dict[str, float]]:
        """The best `top_k` of each query's results, ranked: {query id: {document id: falling score}}, best first.

        A document's text is its title and its text. Raises KeyError for ids without a text, and what
        `Ranker.rank_batch` raises.
        """
        found = {
            qid: sorted(scores, key=scores.__getitem__, reverse=True)[:top_k]
            for qid, scores in results.items()
        }
        batch = [
            {"id": qid, "query": queries[qid], "candidates": [_text(corpus[docid]) for docid in docids]}
            for qid, docids in found.items()
        ]
        rankings = self.ranker.rank_batch(batch, **self.settings)
        self.rerank_results = {
            qid: {docids[item.index]: score for item, score in best(ranking)}
            for (qid, docids), ranking in zip(found.items(), rankings, strict=True)
        }
        return self.rerank_results


def _text(document: Mapping[str, str | None]) -> str:
    return f"{document.get('title') or ''} {document.get('text') or ''}".strip()
