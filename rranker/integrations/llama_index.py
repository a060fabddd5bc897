"""LlamaIndex: a node postprocessor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .common import CheckedFields, best, extra, model_name

with extra("llama-index", "llama-index-core"):
    from llama_index.core.bridge.pydantic import Field
    from llama_index.core.callbacks import CBEventType, EventPayload
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

from ..ranker import Ranker

_dispatcher = get_dispatcher(__name__)


class RRankerPostprocessor(CheckedFields, BaseNodePostprocessor):
    """Ranks nodes by the text that would be embedded, and keeps the best `top_n` (None: all) in new `NodeWithScore`s.

    Scores fall with the place (docs/adapters.md). `ranker` is shared by all who are given it; the rest are settings of
    `Ranker.rank`. Async calls at the same time share forward passes.
    """

    ranker: Ranker = Field(default_factory=Ranker, exclude=True)
    top_n: int | None = Field(default=3, ge=1)
    template: str = "passage"
    instruction: str | None = None
    method: str | None = None
    threshold: float | None = Field(default=None, ge=0, le=1)
    settings: dict[str, Any] = Field(default={}, description="whatever else `Ranker.rank` takes")

    @classmethod
    def class_name(cls) -> str:
        """The name under which it is serialised."""
        return "RRankerPostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        with self._reported(nodes, query_bundle) as (call, ranked):
            ranking = self.ranker.rank(**call)
            ranked += [NodeWithScore(node=nodes[i.index].node, score=s) for i, s in best(ranking, self.top_n)]
        return ranked

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        with self._reported(nodes, query_bundle) as (call, ranked):
            ranking = await self.ranker.arank(**call)
            ranked += [NodeWithScore(node=nodes[i.index].node, score=s) for i, s in best(ranking, self.top_n)]
        return ranked

    @contextmanager
    def _reported(
        self, nodes: Sequence[NodeWithScore], query: QueryBundle | None
    ) -> Iterator[tuple[Any, list[NodeWithScore]]]:
        """The Ranker's arguments, and a list for what comes out; events say when it began and what it was."""
        if query is None:
            raise ValueError("nodes are ranked for a query: pass query_bundle= or query_str=")
        name, ranked = model_name(self.ranker), list[NodeWithScore]()
        top_n = len(nodes) if self.top_n is None else self.top_n
        _dispatcher.event(ReRankStartEvent(query=query, nodes=nodes, top_n=top_n, model_name=name))
        payload = {EventPayload.NODES: nodes, EventPayload.MODEL_NAME: name}
        payload |= {EventPayload.QUERY_STR: query.query_str, EventPayload.TOP_K: top_n}
        texts = [node.node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
        with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
            yield (
                {"query": query.query_str, "candidates": texts, **self._settings()},
                ranked,
            )
            event.on_end(payload={EventPayload.NODES: ranked})
        _dispatcher.event(ReRankEndEvent(nodes=ranked))
