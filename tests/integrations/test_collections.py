"""BEIR's and ir_datasets' shapes, measured by BEIR's and by our own evaluation."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rranker import Ranking
from rranker.integrations.beir import RRankerRerank
from rranker.integrations.ir_datasets import collection_queries
from rranker.metrics import evaluate
from tests.support.samples import QUERY, TEXTS

CORPUS = {f"d{i}": {"title": "", "text": text} for i, text in enumerate(TEXTS)}
QUERIES = {"q1": QUERY, "q2": "stock market"}
RUN = {"q1": {f"d{i}": float(i) for i in range(5)}, "q2": {"d0": 2.0, "d1": 1.0}}
QRELS = {"q1": {"d0": 1, "d3": 1}, "q2": {"d1": 1}}


def test_beir_results_are_ranked_and_cut(ranker: Any, expected: Ranking) -> None:
    results = RRankerRerank(ranker).rerank(CORPUS, QUERIES, RUN, top_k=5)
    assert list(results["q1"]) == [f"d{i}" for i in expected.order]
    assert all(above > below for above, below in pairwise(results["q1"].values()))
    assert list(results["q2"]) == ["d1", "d0"]
    cut = RRankerRerank(ranker).rerank(CORPUS, QUERIES, RUN, top_k=2)
    assert set(cut["q1"]) == {"d4", "d3"}  # the first stage's best two
    with pytest.raises(KeyError, match="d9"):
        RRankerRerank(ranker).rerank(CORPUS, QUERIES, {"q1": {"d9": 1.0}}, top_k=2)


def test_a_title_is_read_as_well(ranker: Any) -> None:
    corpus = {"bees": {"title": TEXTS[0], "text": "More."}, "stocks": {"title": TEXTS[1], "text": "More."}}
    results = RRankerRerank(ranker).rerank(corpus, {"q": QUERY}, {"q": {"stocks": 2.0, "bees": 1.0}}, top_k=2)
    assert list(results["q"]) == ["bees", "stocks"]


def test_beirs_loader_and_evaluation_take_it(ranker: Any, tmp_path: Path) -> None:
    pytest.importorskip("beir", reason="needs BEIR: pip install beir")
    from beir.datasets.data_loader import GenericDataLoader
    from beir.retrieval.evaluation import EvaluateRetrieval

    lines = [json.dumps({"_id": key, **document}) for key, document in CORPUS.items()]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    (tmp_path / "queries.jsonl").write_text(
        "\n".join(json.dumps({"_id": key, "text": text}) for key, text in QUERIES.items())
    )
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\td0\t1\nq1\td3\t1\nq2\td1\t1\n"
    )
    corpus, queries, qrels = GenericDataLoader(str(tmp_path)).load(split="test")
    results = RRankerRerank(ranker).rerank(corpus, queries, RUN, top_k=5)
    theirs = EvaluateRetrieval.evaluate(qrels, results, [1])[0]["NDCG@1"]
    assert theirs == evaluate(QRELS, results, ["nDCG@1"])["nDCG@1"] == 1


@pytest.fixture
def collection(tmp_path: Path) -> Any:
    """A real ir_datasets collection of local files."""
    ir_datasets = pytest.importorskip("ir_datasets", reason="needs ir_datasets: pip install ir-datasets")
    docs, queries = tmp_path / "docs.tsv", tmp_path / "queries.tsv"
    docs.write_text("".join(f"d{i}\t{text}\n" for i, text in enumerate(TEXTS)))
    queries.write_text("".join(f"{key}\t{text}\n" for key, text in QUERIES.items()))
    return ir_datasets.create_dataset(str(docs), str(queries))


def test_a_collection_and_a_run_become_a_batch(collection: Any, ranker: Any, expected: Ranking) -> None:
    batch = list(collection_queries(collection, RUN, top_k=5))
    assert [item["id"] for item in batch] == ["q1", "q2"]
    assert [candidate["id"] for candidate in batch[0]["candidates"]] == ["d4", "d3", "d2", "d1", "d0"]
    rankings = ranker.rank_batch(batch, template="passage", progress=False)
    assert [item.id for item in rankings[0]] == [f"d{i}" for i in expected.order]
    assert evaluate(QRELS, rankings, ["RR"])["RR"] == 1


def test_a_run_may_be_ids_in_order_and_leave_queries_out(collection: Any) -> None:
    (item,) = collection_queries(collection, {"q2": ["d1", "d0", "d1"]}, top_k=2)
    assert [candidate["id"] for candidate in item["candidates"]] == ["d1", "d0"]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"q1": ["d9"]}, "query 'q1': the collection has no document 'd9'"),
        ({"q9": ["d1"]}, "the collection has no query 'q9'"),
        (None, "brings no first stage's results"),
    ],
)
def test_what_a_collection_lacks_is_named(collection: Any, run: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(collection_queries(collection, run))


def test_scoreddocs_are_the_run_where_none_is_given(collection: Any) -> None:
    found = [
        SimpleNamespace(query_id="q2", doc_id="d0", score=1.0),
        SimpleNamespace(query_id="q2", doc_id="d1", score=2.0),
    ]
    collection._constituents.append(
        SimpleNamespace(scoreddocs_iter=lambda: iter(found), scoreddocs_handler=lambda: None)
    )
    (item,) = collection_queries(collection)
    assert [candidate["id"] for candidate in item["candidates"]] == ["d1", "d0"]
