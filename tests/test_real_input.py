"""The main job on the data folder's files, end to end: text in, rankings out, by the bundled model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rranker import Ranker, data
from rranker.metrics import evaluate


@pytest.fixture(scope="module")
def ranker() -> Any:
    try:
        data.data_folder()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with Ranker() as made:
        yield made


def mean_reciprocal_rank(ranker: Ranker, cases: list[data.Case]) -> tuple[float, float]:
    """Of the ranker, and what a random order gets, over the same cases."""
    items = [
        {"query": c.query, "candidates": c.candidates, "task": c.task, "instruction": c.instruction}
        for c in cases
    ]
    found, chance = [], []
    rng = np.random.default_rng(0)
    for case, ranking in zip(cases, ranker.rank_batch(items, progress=False), strict=True):
        assert sorted(ranking.order) == list(range(len(case.candidates)))
        grades = np.array(case.grades)
        found.append(1 / (1 + np.flatnonzero(grades[ranking.order] == grades.max())[0]))
        shuffled = [rng.permutation(grades) for _ in range(200)]
        chance.append(np.mean([1 / (1 + np.argmax(row == grades.max())) for row in shuffled]))
    return float(np.mean(found)), float(np.mean(chance))


@pytest.mark.parametrize("task", ["rec-movie", "rec-music", "rec-game", "router-balance", "router-cost"])
def test_the_bundled_model_is_far_better_than_chance_on_held_out_queries(ranker: Ranker, task: str) -> None:
    cases = data.task_cases(task)[:80]
    model, chance = mean_reciprocal_rank(ranker, cases)
    assert model > 1.5 * chance


@pytest.mark.parametrize("k", [5, 9])
def test_it_finds_the_relevant_passage_more_often_than_chance(ranker: Ranker, k: int) -> None:
    model, chance = mean_reciprocal_rank(ranker, data.task_cases(f"passage-{k}"))
    assert model > 1.1 * chance


def test_dl_2019_lists_of_a_hundred_are_reranked_whole(ranker: Ranker) -> None:
    topics = data.trecdl(19)[:8]
    queries = [(topic.query, [{"id": hit.docid, "text": hit.text} for hit in topic.hits]) for topic in topics]
    rankings = ranker.rank_batch(queries, task="passage", progress=False)
    run, qrels = {}, {}
    for topic, ranking in zip(topics, rankings, strict=True):
        assert len(ranking) == len(topic.hits) >= 90
        assert len(ranking.rounds) == len(topic.hits) - 1
        assert ranking.stats.tokens_encoded < ranking.stats.tokens_naive / 20
        run[topic.qid] = {str(item.id): item.score for item in ranking}
        qrels[topic.qid] = {hit.docid: hit.grade for hit in topic.hits if hit.grade is not None}
    found = evaluate(qrels, run, ["nDCG@10"])
    assert 0 < found["nDCG@10"] <= 1
