"""Haystack: the component alone, in a pipeline, and through `Pipeline.dumps` and `loads`."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

pytest.importorskip("haystack", reason="needs Haystack: pip install 'rranker[haystack]'")

from haystack import Document, Pipeline

from haystack_integrations.components.rankers.rranker import RRanker
from rranker import Ranking
from tests.support.samples import QUERY, TEXTS

DOCUMENTS = [Document(id=f"d{i}", content=text, meta={"place": i}) for i, text in enumerate(TEXTS)]


def component(ranker: Any, **settings: Any) -> RRanker:
    """One that does not load a model of its own."""
    made = RRanker(**settings)
    made._ranker = ranker
    return made


def places(documents: list[Document]) -> list[int]:
    return [document.meta["place"] for document in documents]


def test_documents_are_copied_in_ranking_order_with_falling_scores(ranker: Any, expected: Ranking) -> None:
    ranked = component(ranker).run(QUERY, DOCUMENTS)["documents"]
    assert places(ranked) == expected.order
    assert [document.id for document in ranked] == [f"d{i}" for i in expected.order]
    assert all(above.score > below.score for above, below in pairwise(ranked))
    assert all(document.score is None for document in DOCUMENTS)
    assert places(component(ranker).run(QUERY, DOCUMENTS, top_k=2)["documents"]) == expected.order[:2]
    kept = component(ranker, threshold=expected[0].relevance).run(QUERY, DOCUMENTS)["documents"]
    assert places(kept) == expected.order[:1]
    assert component(ranker).run(QUERY, []) == {"documents": []}
    with pytest.raises(ValueError, match="stop_below must be"):
        component(ranker, settings={"stop_below": 2}).run(QUERY, DOCUMENTS)


def test_documents_of_one_id_are_one_and_those_without_content_are_empty(ranker: Any) -> None:
    twice = [Document(id="a", content=TEXTS[0], score=0.1), Document(id="a", content=TEXTS[0], score=0.9)]
    ranked = component(ranker).run(QUERY, [*twice, Document(id="b", content=None)])["documents"]
    assert sorted(document.id for document in ranked) == ["a", "b"]


def test_wrong_settings_are_refused_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="method must be one of"):
        RRanker(method="guessing")
    with pytest.raises(TypeError, match="no setting 'treshold'"):
        RRanker(settings={"treshold": 0.5})


@pytest.mark.parametrize("top_k", [0, -1])
def test_a_top_k_of_nothing_is_refused(ranker: Any, top_k: int) -> None:
    with pytest.raises(ValueError, match="top_k must be at least 1"):
        RRanker(top_k=top_k)
    with pytest.raises(ValueError, match="top_k must be at least 1"):
        component(ranker).run(QUERY, DOCUMENTS, top_k=top_k)


def test_async_runs_share_the_model(ranker: Any, expected: Ranking) -> None:
    made = component(ranker)

    async def eight() -> list[Any]:
        return await asyncio.gather(*(made.run_async(QUERY, DOCUMENTS) for _ in range(8)))

    assert [places(result["documents"]) for result in asyncio.run(eight())] == [expected.order] * 8
    assert ranker.most == 8


def test_a_pipeline_survives_dumps_and_loads_and_loads_its_own_model(expected: Ranking) -> None:
    pipeline = Pipeline()
    settings = {"top_k": 2, "settings": {"window": 3}, "ranker_kwargs": {"kv_cache_tokens": 4096}}
    pipeline.add_component("ranker", RRanker(**settings))
    again = Pipeline.loads(pipeline.dumps())
    assert again.dumps() == pipeline.dumps()
    assert "haystack_integrations.components.rankers.rranker.ranker.RRanker" in pipeline.dumps()
    run = {"ranker": {"query": QUERY, "documents": DOCUMENTS}}
    assert places(again.run(run)["ranker"]["documents"]) == expected.order[:2]
    assert places(asyncio.run(again.run_async(run))["ranker"]["documents"]) == expected.order[:2]
