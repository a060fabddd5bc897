"""The plug-in for `rerankers`: made by its own factory, results in its own classes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rranker import Ranking
from tests.support.samples import QUERY, TEXTS


@pytest.fixture(scope="module")
def rerankers() -> Any:
    """Imported here: it takes seconds of every process that collects the tests."""
    return pytest.importorskip("rerankers", reason="needs rerankers: pip install 'rranker[rerankers]'")


@pytest.fixture
def model(rerankers: Any, ranker: Any) -> Any:
    import rranker.integrations.rerankers  # noqa: F401  (registers the type)

    return rerankers.Reranker("default", model_type="rranker", verbose=0, ranker=ranker)


def test_the_factory_makes_it_and_it_ranks(model: Any, expected: Ranking) -> None:
    from rranker.integrations.rerankers import RRankerModel

    assert isinstance(model, RRankerModel)
    results = model.rank(
        QUERY, TEXTS, doc_ids=[f"d{i}" for i in range(5)], metadata=[{"place": i} for i in range(5)]
    )
    assert [result.doc_id for result in results] == [f"d{i}" for i in expected.order]
    assert [result.metadata["place"] for result in results] == expected.order
    assert [result.rank for result in results] == [1, 2, 3, 4, 5]
    assert results.top_k(2) == results.results[:2]  # sorts by score
    assert results.get_score_by_docid("d0") == pytest.approx(
        expected[expected.order.index(0)].relevance, abs=1e-6
    )


def test_documents_single_texts_and_none_at_all(rerankers: Any, model: Any) -> None:
    documents = [rerankers.Document(text, doc_id=i) for i, text in enumerate(TEXTS)]
    assert {result.doc_id for result in model.rank(QUERY, documents)} == set(range(5))
    assert model.rank(QUERY, TEXTS[0]).results_count() == 1
    assert model.rank(QUERY, []).results_count() == 0


def test_one_text_has_a_score_of_its_own(model: Any, ranker: Any) -> None:
    assert (
        model.score(QUERY, TEXTS[0])
        == ranker.rank(QUERY, [TEXTS[0]], template="passage", relevance=True)[0].relevance
    )
    assert model.score(QUERY, TEXTS[0]) > model.score(QUERY, TEXTS[1])


def test_async_calls_run_together(model: Any, ranker: Any, expected: Ranking) -> None:
    async def eight() -> list[Any]:
        return await asyncio.gather(*(model.rank_async(QUERY, TEXTS) for _ in range(8)))

    assert [[result.doc_id for result in results] for results in asyncio.run(eight())] == [expected.order] * 8
    assert ranker.most == 8
