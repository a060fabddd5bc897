"""LangChain: a document compressor that keeps the best of what a retriever found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .common import CheckedFields, best, extra

with extra("langchain", "langchain-core"):
    from langchain_core.callbacks import Callbacks
    from langchain_core.documents import BaseDocumentCompressor, Document
    from pydantic import ConfigDict, Field

from ..ranker import Ranker
from ..types import Ranking


class RRankerCompressor(CheckedFields, BaseDocumentCompressor):
    """Ranks documents by their `page_content` and keeps the best `top_n` (None: all), as copies.

    Each copy's `metadata["relevance_score"]` falls with its place (docs/adapters.md). `ranker` is shared by all who are
    given it; the rest are settings of `Ranker.rank`. Async calls at the same time share forward passes.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    ranker: Ranker = Field(default_factory=Ranker, exclude=True)
    top_n: int | None = Field(default=3, ge=1)
    template: str = "passage"
    instruction: str | None = None
    method: str | None = None
    threshold: float | None = Field(default=None, ge=0, le=1)
    settings: dict[str, Any] = Field(default={}, description="whatever else `Ranker.rank` takes")

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """The best documents, best first. Raises what `Ranker.rank` raises."""
        texts = [document.page_content for document in documents]
        return self._copies(documents, self.ranker.rank(query, texts, **self._settings()))

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """The async twin of `compress_documents`."""
        texts = [document.page_content for document in documents]
        return self._copies(documents, await self.ranker.arank(query, texts, **self._settings()))

    def _copies(self, documents: Sequence[Document], ranking: Ranking) -> list[Document]:
        copies = list[Document]()
        for item, score in best(ranking, self.top_n):
            document = documents[item.index]
            metadata = {**document.metadata, "relevance_score": score}
            copies.append(document.model_copy(update={"metadata": metadata}))
        return copies
