"""A remote model ranks as the same model here: SmolLM2's real logits, once over the wire and once in the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rranker import Ranker
from rranker.scorers import ChatScorer, SGLangScorer
from tests.support.chat_server import Server, serving
from tests.support.samples import QUERY, TEXTS

pytestmark = pytest.mark.pretrained
HISTORY = ["Alien (1979)", "Blade Runner (1982)", "Terminator, The (1984)"]
FILMS = ["Clueless (1995)", "Predator (1987)", "Total Recall (1990)"]
QUERIES = [
    {"query": QUERY, "candidates": TEXTS[:4], "template": "passage"},
    {"query": HISTORY, "candidates": FILMS, "instruction": "Rank films for this user."},
]


@pytest.fixture(scope="module")
def local(smollm2: Path) -> Iterator[Ranker]:
    with Ranker(smollm2, dtype="float32", relayout="keep", kv_cache_tokens=4096) as ranker:
        yield ranker


@pytest.fixture(scope="module")
def server(smollm2: Path) -> Iterator[Server]:
    from tests.support.model_server import ModelAnswers

    pytest.importorskip("openai", reason="needs the extra openai")
    with serving(ModelAnswers(smollm2)) as made:
        yield made


@pytest.mark.parametrize("method", ["iranker", "dranker"])
def test_a_chat_endpoint_ranks_as_the_same_model_here(local: Ranker, server: Server, method: str) -> None:
    with Ranker(scorer=ChatScorer("smollm2", base_url=server.url, prefill=True)) as remote:
        theirs = remote.rank_batch(QUERIES, method=method, progress=False)
    ours = local.rank_batch(QUERIES, method=method, progress=False)
    for there, here in zip(theirs, ours, strict=True):
        assert there.order == here.order
        assert there.repairs == ()
        for one, other in zip(there.rounds, here.rounds, strict=True):
            assert (one.alive, one.excluded, one.selected) == (other.alive, other.excluded, other.selected)
            np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)


@pytest.mark.parametrize("method", ["iranker", "pointwise"])
def test_a_score_endpoint_ranks_as_the_same_model_here(
    smollm2: Path, local: Ranker, server: Server, method: str
) -> None:
    ours = local.rank(QUERY, TEXTS[:4], template="passage", method=method)
    with Ranker(scorer=SGLangScorer(smollm2, base_url=server.url, relayout="keep")) as remote:
        theirs = remote.rank(QUERY, TEXTS[:4], template="passage", method=method)
    assert theirs.order == ours.order
    for one, other in zip(theirs.rounds, ours.rounds, strict=True):
        assert (one.alive, one.excluded, one.selected) == (other.alive, other.excluded, other.selected)
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)
