"""Replicas of different sizes: what one of them has room for, each has, and what one refuses belongs to its job."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from rranker import CapacityError, Ranker, Ranking
from rranker.engine.engine import Engine
from rranker.methods import method_class
from rranker.request import make_request
from rranker.scorers.engine_logits import EngineScorer
from rranker.scorers.replicas import Replicas, load_replicas
from tests.support.checkpoints import TINY_START
from tests.support.samples import QUERY, TEXTS

SLOTS = (4096, 256)
MANY = [f"{text} {i}" for i in range(6) for text in TEXTS]


@pytest.fixture
def replicas() -> Iterator[Replicas]:
    sizes = iter(SLOTS)

    def load(on: torch.device) -> EngineScorer:
        return EngineScorer(Engine.load(TINY_START, device=on, kv_cache_tokens=next(sizes)))

    made = load_replicas([torch.device("cpu")] * len(SLOTS), load)
    yield made
    made.close()


def test_a_batch_is_laid_out_for_the_smallest_replica(replicas: Replicas) -> None:
    with Ranker(scorer=replicas) as ranker:
        found = ranker.rank_batch([(f"{QUERY} {i}", MANY) for i in range(4)], progress=False)
    assert all(sorted(ranking.order) == list(range(len(MANY))) for ranking in found)
    assert all("the engine has 256" in ranking.repairs[-1].message for ranking in found)


def test_what_one_replica_has_no_room_for_fails_alone(replicas: Replicas) -> None:
    large, small = replicas.scorers
    method = method_class("iranker")
    jobs = [large.prepare(make_request(QUERY, texts), method) for texts in (MANY, TEXTS)]
    done = [job for job in small.play(jobs) if job is not None and job.done]
    assert done == jobs
    assert isinstance(jobs[0].error, CapacityError)
    assert jobs[1].error is None
    assert jobs[1].decided


def test_the_order_of_replicas_changes_nothing(replicas: Replicas) -> None:
    with Ranker(scorer=replicas) as ranker:
        expected = ranker.rank(QUERY, MANY)
        turned = Replicas(replicas.scorers[::-1], replicas._threads[::-1])
        found = Ranker(scorer=turned).rank(QUERY, MANY)
    assert isinstance(found, Ranking)
    assert found.order == expected.order
