"""MTEB: a search model by its protocol, on its own mock tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rranker import Ranking
from tests.support.samples import QUERY, TEXTS


@pytest.fixture(scope="module")
def mteb() -> Any:
    """Imported here: it takes seconds of every process that collects the tests."""
    return pytest.importorskip("mteb", reason="needs MTEB: pip install 'rranker[mteb]'")


@pytest.fixture
def model(mteb: Any, ranker: Any) -> Any:
    from rranker.integrations.mteb import RRankerSearch

    return RRankerSearch(ranker)


@pytest.fixture
def queries(mteb: Any) -> Any:
    from datasets import Dataset

    return Dataset.from_list([{"id": "q1", "text": QUERY}, {"id": "q2", "text": QUERY}])


def test_it_ranks_what_a_task_brings(model: Any, queries: Any, expected: Ranking) -> None:
    from datasets import Dataset
    from mteb.models.models_protocols import SearchProtocol

    assert isinstance(model, SearchProtocol)
    corpus = [{"id": f"d{i}", "title": "", "body": text} for i, text in enumerate(TEXTS)]
    model.index(Dataset.from_list(corpus), num_proc=None)
    found = model.search(queries, top_k=4, top_ranked={"q1": [f"d{i}" for i in range(5)]}, num_proc=None)
    assert list(found["q1"]) == [f"d{i}" for i in expected.order[:4]]
    assert found["q2"] == {}
    with pytest.raises(ValueError, match="convert_to_reranking"):
        model.search(queries, top_k=4)


def test_a_querys_instruction_reaches_the_model(
    queries: Any, ranker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rranker.integrations.mteb import RRankerSearch

    asked, model = [], RRankerSearch(ranker, instruction="Mine.")
    monkeypatch.setattr(
        ranker,
        "rank_batch",
        lambda batch, **settings: asked.extend(item["instruction"] for item in batch) or [],
    )
    model.search(queries.add_column("instruction", ["Theirs.", ""]).select([]), top_k=4, top_ranked={})
    with pytest.raises(ValueError, match="zip"):
        model.search(queries.add_column("instruction", ["Theirs.", ""]), top_k=4, top_ranked={})
    assert asked == ["Theirs.", "Mine."]


@pytest.mark.parametrize("task", ["MockRerankingTask", "MockInstructionReranking"])
def test_mock_tasks_of_reranking_run(mteb: Any, model: Any, task: str) -> None:
    from mteb import mocks

    results = mteb.evaluate(model, getattr(mocks, task)(), cache=None, show_progress_bar=False)
    (scores,) = results[0].scores["test"]
    assert 0 < scores["ndcg_at_10"] <= 1


def test_a_retrieval_task_runs_as_a_second_stage(mteb: Any, model: Any, tmp_path: Path) -> None:
    from mteb.mocks import MockRetrievalTask

    first = mteb.get_model("mteb/baseline-random-encoder")
    mteb.evaluate(first, MockRetrievalTask(), cache=None, prediction_folder=tmp_path, show_progress_bar=False)
    task = MockRetrievalTask().convert_to_reranking(tmp_path, top_k=2)
    results = mteb.evaluate(model, task, cache=None, show_progress_bar=False)
    assert results.exceptions in (None, [])
    assert results[0].scores["test"]
