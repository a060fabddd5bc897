"""A plug-in for `rerankers`: importing this file registers the model type "rranker"."""

from __future__ import annotations

from typing import Any, Unpack

from .common import Adapter, best, extra

with extra("rerankers", "rerankers"):
    from rerankers.documents import Document
    from rerankers.models import AVAILABLE_RANKERS
    from rerankers.models.ranker import BaseRanker
    from rerankers.results import RankedResults, Result
    from rerankers.utils import prep_docs

from ..ranker import Ranker
from ..settings import RankSettings
from ..types import Ranking

Documents = Any  # a text, a Document, or a list of either


class RRankerModel(Adapter, BaseRanker):
    """What `Reranker(model, model_type="rranker")` makes. `model` is a checkpoint, or "default" for the bundled one.

    `settings` are those of `Ranker.rank`, and `ranker` one that is loaded already. Scores fall with the place
    (docs/adapters.md).
    """

    def __init__(
        self,
        model: str = "default",
        verbose: int = 1,
        ranker: Ranker | None = None,
        **settings: Unpack[RankSettings],
    ) -> None:
        super().__init__(ranker or Ranker(None if model == "default" else model), **settings)
        self.verbose = verbose

    def rank(
        self,
        query: str,
        docs: Documents,
        doc_ids: list[Any] | None = None,
        metadata: list[dict[str, Any]] | None = None,
    ) -> RankedResults:
        """All documents, best first. Raises what `Ranker.rank` raises."""
        documents = prep_docs(docs, doc_ids, metadata) if docs else []
        ranking = self.ranker.rank(query, [each.text for each in documents], **self.settings)
        return _results(query, documents, ranking)

    async def rank_async(
        self, query: str, docs: Documents, doc_ids: list[Any] | None = None
    ) -> RankedResults:
        """The async twin of `rank`: calls at the same time share forward passes."""
        documents = prep_docs(docs, doc_ids) if docs else []
        ranking = await self.ranker.arank(query, [each.text for each in documents], **self.settings)
        return _results(query, documents, ranking)

    def score(self, query: str, doc: str) -> float:
        """The calibrated relevance of one text. Raises ValueError for a model that was not calibrated."""
        settings: RankSettings = {**self.settings, "relevance": True}
        (item,) = self.ranker.rank(query, [doc], **settings)
        assert item.relevance is not None
        return item.relevance


def _results(query: str, documents: list[Document], ranking: Ranking) -> RankedResults:
    results = [Result(documents[item.index], score, item.rank) for item, score in best(ranking)]
    return RankedResults(results, query, has_scores=True)


AVAILABLE_RANKERS["rranker"] = RRankerModel
