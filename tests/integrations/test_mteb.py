"""MTEB: a search model by its protocol, on its own mock tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mteb", reason="needs MTEB: pip install 'rranker[mteb]'")

import mteb
from datasets import Dataset
from mteb.mocks import MockInstructionReranking, MockRerankingTask, MockRetrievalTask
from mteb.models.models_protocols import SearchProtocol

from rranker import Ranking
from rranker.integrations.mteb import RRankerSearch
from tests.support.samples import QUERY, TEXTS

CORPUS = Dataset.from_list([{"id": f"d{i}", "title": "", "body": text} for i, text in enumerate(TEXTS)])
QUERIES = Dataset.from_list([{"id": "q1", "text": QUERY}, {"id": "q2", "text": QUERY}])


def test_it_ranks_what_a_task_brings(ranker: Any, expected: Ranking) -> None:
    model = RRankerSearch(ranker)
    assert isinstance(model, SearchProtocol)
    model.index(CORPUS, num_proc=None)
    found = model.search(QUERIES, top_k=4, top_ranked={"q1": [f"d{i}" for i in range(5)]}, num_proc=None)
    assert list(found["q1"]) == [f"d{i}" for i in expected.order[:4]]
    assert found["q2"] == {}
    with pytest.raises(ValueError, match="convert_to_reranking"):
        model.search(QUERIES, top_k=4)


def test_a_querys_instruction_reaches_the_model(ranker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        ranker,
        "rank_batch",
        lambda batch, **settings: asked.extend(item["instruction"] for item in batch) or [],
    )
    model = RRankerSearch(ranker, instruction="Mine.")
    model.search(QUERIES.add_column("instruction", ["Theirs.", ""]).select([]), top_k=4, top_ranked={})
    with pytest.raises(ValueError, match="zip"):
        model.search(QUERIES.add_column("instruction", ["Theirs.", ""]), top_k=4, top_ranked={})
    assert asked == ["Theirs.", "Mine."]


@pytest.mark.parametrize("task", [MockRerankingTask, MockInstructionReranking])
def test_mock_tasks_of_reranking_run(ranker: Any, task: Any) -> None:
    results = mteb.evaluate(RRankerSearch(ranker), task(), cache=None, show_progress_bar=False)
    (scores,) = results[0].scores["test"]
    assert 0 < scores["ndcg_at_10"] <= 1


def test_a_retrieval_task_runs_as_a_second_stage(ranker: Any, tmp_path: Path) -> None:
    first = mteb.get_model("mteb/baseline-random-encoder")
    mteb.evaluate(first, MockRetrievalTask(), cache=None, prediction_folder=tmp_path, show_progress_bar=False)
    task = MockRetrievalTask().convert_to_reranking(tmp_path, top_k=2)
    results = mteb.evaluate(RRankerSearch(ranker), task, cache=None, show_progress_bar=False)
    assert results.exceptions in (None, [])
    assert results[0].scores["test"]
