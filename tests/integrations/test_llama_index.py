"""LlamaIndex: the postprocessor alone and in a query engine, its events, its names."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

pytest.importorskip("llama_index.core", reason="needs LlamaIndex: pip install 'rranker[llama-index]'")

from llama_index.core import Settings
from llama_index.core.bridge.pydantic import Field
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from rranker import Ranking
from rranker.integrations.llama_index import RRankerPostprocessor
from tests.support.samples import QUERY, TEXTS

NODES = [NodeWithScore(node=TextNode(text=text, id_=str(i)), score=0.5) for i, text in enumerate(TEXTS)]


class Everything(BaseRetriever):
    """Finds all nodes for any query."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return NODES


class Heard(BaseEventHandler):
    """Keeps the events of re-ranking."""

    events: list[Any] = Field(default_factory=list)

    def handle(self, event: Any, **_: Any) -> None:
        if isinstance(event, ReRankStartEvent | ReRankEndEvent):
            self.events.append(event)


def test_nodes_are_new_in_ranking_order_and_the_old_ones_untouched(ranker: Any, expected: Ranking) -> None:
    ranked = RRankerPostprocessor(ranker=ranker, top_n=None).postprocess_nodes(NODES, query_str=QUERY)
    assert [int(node.node_id) for node in ranked] == expected.order
    assert all(above.score > below.score for above, below in pairwise(ranked))
    assert [node.score for node in ranked] == pytest.approx([item.relevance for item in expected], abs=1e-6)
    assert all(node.score == 0.5 for node in NODES)
    assert len(RRankerPostprocessor(ranker=ranker).postprocess_nodes(NODES, query_str=QUERY)) == 3
    assert RRankerPostprocessor(ranker=ranker).postprocess_nodes([], query_str=QUERY) == []
    with pytest.raises(ValueError, match="stop_below must be"):
        RRankerPostprocessor(ranker=ranker, settings={"stop_below": 2}).postprocess_nodes(
            NODES, query_str=QUERY
        )


def test_metadata_that_would_be_embedded_is_read(ranker: Any) -> None:
    """Two nodes of one text, told apart by metadata alone; what is excluded from embedding is not read."""
    nodes = [
        NodeWithScore(node=TextNode(text="A note.", id_="bees", metadata={"about": TEXTS[0]})),
        NodeWithScore(node=TextNode(text="A note.", id_="stocks", metadata={"about": TEXTS[1]})),
    ]
    for order in (nodes, nodes[::-1]):
        ranked = RRankerPostprocessor(ranker=ranker).postprocess_nodes(order, query_str=QUERY)
        assert ranked[0].node_id == "bees"
    for node in nodes:
        node.node.excluded_embed_metadata_keys = ["about"]
    ranked = RRankerPostprocessor(ranker=ranker).postprocess_nodes(nodes[::-1], query_str=QUERY)
    assert ranked[0].node_id == "stocks"  # equal texts keep their order


def test_events_say_what_went_in_and_came_out(ranker: Any, expected: Ranking) -> None:
    heard, debug = Heard(), LlamaDebugHandler(print_trace_on_end=False)
    get_dispatcher().add_event_handler(heard)
    made = RRankerPostprocessor(ranker=ranker, top_n=2, callback_manager=CallbackManager([debug]))
    made.postprocess_nodes(NODES, query_str=QUERY)
    start, end = heard.events
    assert (start.top_n, len(start.nodes), start.model_name) == (2, 5, ranker.model.name)
    assert [int(node.node_id) for node in end.nodes] == expected.order[:2]
    ((begun, ended),) = debug.get_event_pairs(CBEventType.RERANKING)
    assert begun.payload["top_k"] == 2
    assert len(ended.payload["nodes"]) == 2


def test_it_has_a_name_and_needs_a_query(ranker: Any) -> None:
    made = RRankerPostprocessor(ranker=ranker, instruction="Rank.")
    assert made.to_dict()["class_name"] == RRankerPostprocessor.class_name() == "RRankerPostprocessor"
    assert "ranker" not in made.to_dict()
    with pytest.raises(ValueError, match="pass query_bundle= or query_str="):
        made.postprocess_nodes(NODES)


def test_in_a_query_engine_async_calls_run_together(ranker: Any, expected: Ranking) -> None:
    Settings.llm = MockLLM()  # looked up even where no text is written
    engine = RetrieverQueryEngine(
        Everything(),
        response_synthesizer=get_response_synthesizer(response_mode="no_text"),
        node_postprocessors=[RRankerPostprocessor(ranker=ranker, top_n=2)],
    )
    assert [int(node.node_id) for node in engine.query(QUERY).source_nodes] == expected.order[:2]

    async def eight() -> list[Any]:
        return await asyncio.gather(*(engine.aquery(QUERY) for _ in range(8)))

    for answer in asyncio.run(eight()):
        assert [int(node.node_id) for node in answer.source_nodes] == expected.order[:2]
    assert ranker.most == 8
