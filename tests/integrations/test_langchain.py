"""LangChain: the compressor alone and in a retriever, sync and async."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

pytest.importorskip("langchain_core", reason="needs LangChain: pip install 'rranker[langchain]'")

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ValidationError

from rranker import Ranking
from rranker.integrations.langchain import RRankerCompressor
from tests.support.samples import QUERY, TEXTS

DOCUMENTS = [Document(text, id=f"d{i}", metadata={"place": i}) for i, text in enumerate(TEXTS)]


class Everything(BaseRetriever):
    """Finds all documents for any query."""

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return DOCUMENTS


def test_documents_are_copied_in_ranking_order_with_their_scores(ranker: Any, expected: Ranking) -> None:
    before = [document.model_copy(deep=True) for document in DOCUMENTS]
    ranked = RRankerCompressor(ranker=ranker, top_n=None).compress_documents(DOCUMENTS, QUERY)
    assert [document.metadata["place"] for document in ranked] == expected.order
    assert [document.id for document in ranked] == [f"d{i}" for i in expected.order]
    scores = [document.metadata["relevance_score"] for document in ranked]
    assert scores == pytest.approx([item.relevance for item in expected], abs=1e-6)
    assert all(above > below for above, below in pairwise(scores))
    assert before == DOCUMENTS


def test_top_n_and_threshold_cut(ranker: Any, expected: Ranking) -> None:
    assert len(RRankerCompressor(ranker=ranker).compress_documents(DOCUMENTS, QUERY)) == 3
    least = expected[0].relevance
    kept = RRankerCompressor(ranker=ranker, threshold=least).compress_documents(DOCUMENTS, QUERY)
    assert [document.metadata["place"] for document in kept] == [expected[0].index]
    assert RRankerCompressor(ranker=ranker).compress_documents([], QUERY) == []
    with pytest.raises(ValueError, match="stop_below must be"):
        RRankerCompressor(ranker=ranker, settings={"stop_below": 2}).compress_documents(DOCUMENTS, QUERY)


@pytest.mark.parametrize("wrong", [{"top_n": 0}, {"threshold": 2}, {"top_k": 3}])
def test_wrong_settings_are_refused_by_name(ranker: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        RRankerCompressor(ranker=ranker, **wrong)


def test_in_a_retriever_sync_and_async(ranker: Any, expected: Ranking) -> None:
    classic = pytest.importorskip(
        "langchain_classic.retrievers", reason="needs LangChain: pip install 'rranker[langchain]'"
    )
    retriever = classic.ContextualCompressionRetriever(
        base_compressor=RRankerCompressor(ranker=ranker, top_n=2), base_retriever=Everything()
    )
    first = [expected[0].index, expected[1].index]
    assert [document.metadata["place"] for document in retriever.invoke(QUERY)] == first

    async def eight() -> list[list[Document]]:
        return await asyncio.gather(*(retriever.ainvoke(QUERY) for _ in range(8)))

    assert [[d.metadata["place"] for d in found] for found in asyncio.run(eight())] == [first] * 8
    assert ranker.most == 8


def test_wrong_settings_are_refused_when_it_is_made(ranker: Any) -> None:
    with pytest.raises(TypeError, match="a call has no setting 'methd'; did you mean 'method'"):
        RRankerCompressor(ranker=ranker, settings={"methd": "iranker"})
    with pytest.raises(ValueError, match="unknown template 'passages'"):
        RRankerCompressor(ranker=ranker, template="passages")
