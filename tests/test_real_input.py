"""The main job on the data folder's files, end to end: text in, rankings out, by the bundled model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rranker import Ranker, data
from rranker.metrics import evaluate, read_qrels

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def ranker() -> Any:
    with Ranker() as made:
        yield made


def mean_reciprocal_rank(ranker: Ranker, cases: list[data.RankingExample]) -> tuple[float, float]:
    """Of the ranker, and what a random order gets, over the same cases."""
    items = [
        {"query": c.query, "candidates": c.candidates, "task": c.task, "instruction": c.instruction}
        for c in cases
    ]
    found, chance = [], []
    rng = np.random.default_rng(0)
    for case, ranking in zip(cases, ranker.rank_batch(items, progress=False), strict=True):
        assert sorted(ranking.order) == list(range(len(case.candidates)))
        relevance = np.array(case.relevance)
        found.append(1 / (1 + np.flatnonzero(relevance[ranking.order] == relevance.max())[0]))
        shuffled = [rng.permutation(relevance) for _ in range(200)]
        chance.append(np.mean([1 / (1 + np.argmax(row == relevance.max())) for row in shuffled]))
    return float(np.mean(found)), float(np.mean(chance))


@pytest.mark.parametrize("task", ["rec-movie", "rec-music", "rec-game"])
def test_histories_of_held_out_users_are_ranked_far_better_than_by_chance(ranker: Ranker, task: str) -> None:
    model, chance = mean_reciprocal_rank(ranker, data.task_cases(task)[:24])
    assert model > 2.5 * chance


@pytest.mark.parametrize(
    ("task", "times"),
    [("router-performance", 1.05), ("router-balance", 2.0), ("router-cost", 2.0)],  # chance is 0.8, 0.3, 0.3
)
def test_held_out_queries_are_routed_better_than_by_chance(ranker: Ranker, task: str, times: float) -> None:
    cases = data.task_cases(task)[::28]
    model, chance = mean_reciprocal_rank(ranker, cases)
    assert model > times * chance


def test_passages_of_held_out_articles_are_found(ranker: Ranker) -> None:
    model, chance = mean_reciprocal_rank(ranker, data.question_cases(data.squad()[1], 5, limit=24))
    assert model > 1.5 * chance


def test_dl_2019_lists_of_a_hundred_are_reranked_whole(ranker: Ranker) -> None:
    topics = data.trecdl(19)[::15]
    queries = [(topic.query, [{"id": hit.docid, "text": hit.text} for hit in topic.hits]) for topic in topics]
    rankings = ranker.rank_batch(queries, task="passage", progress=False)
    run: dict[str, dict[str, float]] = {}
    shuffled: dict[str, dict[str, float]] = {}
    rng = np.random.default_rng(0)
    for topic, ranking in zip(topics, rankings, strict=True):
        assert len(ranking) == len(topic.hits) >= 90
        assert len(ranking.rounds) == len(topic.hits) - 1
        assert ranking.stats.tokens_encoded < ranking.stats.tokens_naive / 20
        run[topic.qid] = {str(item.id): item.score for item in ranking}
        shuffled[topic.qid] = {hit.docid: float(rng.random()) for hit in topic.hits}
    qrels = read_qrels(data.data_file("trecdl/qrels.dl19-passage.txt"))
    judged = {qid: qrels[qid] for qid in run}
    model, chance = (evaluate(judged, one, ["nDCG@10"])["nDCG@10"] for one in (run, shuffled))
    assert model > 1.15 * chance
