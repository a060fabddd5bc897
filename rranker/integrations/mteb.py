"""MTEB: a search model for reranking tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from .common import Adapter, best, extra, model_name

with extra("mteb", "mteb"):
    from mteb.models.model_meta import ModelMeta

from ..ranker import Ranker
from ..settings import RankSettings

if TYPE_CHECKING:
    from datasets import Dataset
    from mteb.types import RetrievalOutputType, TopRankedDocumentsType


class RRankerSearch(Adapter):
    """An MTEB `SearchProtocol`: ranks the documents that a task brings. `settings` are those of `Ranker.rank`.

    A query's own instruction, where the task has one, goes before that of the settings.
    """

    def __init__(self, ranker: Ranker | None = None, **settings: Unpack[RankSettings]) -> None:
        super().__init__(ranker, **settings)
        known = {
            "name": f"rranker/{model_name(self.ranker).rsplit('/', 1)[-1]}",
            "model_type": ["cross-encoder"],
        }
        self.mteb_model_meta = ModelMeta.create_empty(overwrites=known)
        self._texts: dict[str, str] = {}

    def index(self, corpus: Dataset, **task: Any) -> None:
        """Keeps the texts of a corpus with columns id, text or body, and title."""
        self._texts = {row["id"]: _text(row) for row in corpus}

    def search(
        self, queries: Dataset, *, top_k: int, top_ranked: TopRankedDocumentsType | None = None, **task: Any
    ) -> RetrievalOutputType:
        """Ranks each query's `top_ranked` documents: {query id: {document id: falling score}}, at most `top_k`.

        Raises ValueError for a task that brings none, and what `Ranker.rank_batch` raises.
        """
        if top_ranked is None:
            raise ValueError(
                "this ranks what another model found: make it a reranking task first, "
                "task.convert_to_reranking(FOLDER, top_k=100), with that model's prediction_folder"
            )
        batch = [
            {
                "id": row["id"],
                "query": row["text"],
                "candidates": [self._texts[docid] for docid in top_ranked.get(row["id"], [])],
                "instruction": row.get("instruction") or self.settings.get("instruction"),
            }
            for row in queries
        ]
        rankings = self.ranker.rank_batch(batch, **self.settings)
        return {
            row["id"]: {top_ranked[row["id"]][item.index]: score for item, score in best(ranking, top_k)}
            for row, ranking in zip(queries, rankings, strict=True)
        }


def _text(row: dict[str, Any]) -> str:
    text = row.get("text") or row.get("body") or ""
    return f"{row.get('title') or ''} {text}".strip()
