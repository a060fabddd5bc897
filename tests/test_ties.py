"""Candidates with the same text are one to the model: equal in, equal out, on every backend, dtype and batch."""

from __future__ import annotations

import random
from typing import Any

import pytest

from rranker import Ranker, Ranking
from tests.support.checkpoints import TINY_START

QUERY = "how do bees find flowers?"
WORDS = [
    "bees",
    "find",
    "flowers",
    "honey",
    "jar",
    "stock",
    "exchange",
    "opened",
    "higher",
    "night",
    "hive",
    "dance",
    "colour",
    "scent",
]


def texts_with_repeats(seed: int) -> list[str]:
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(1, 9))) for _ in range(rng.randint(1, 6))]
    texts += rng.choices(texts, k=rng.randint(1, 8))
    return rng.sample(texts, len(texts))


def assert_equal_out(ranking: Ranking, texts: list[str]) -> None:
    """Equal texts stand together, in input order, with one score; and leave together."""
    seen: dict[str, list[Any]] = {}
    for item in ranking:
        seen.setdefault(item.text, []).append(item)
    for same in seen.values():
        assert [item.index for item in same] == sorted(item.index for item in same)
        assert len({item.score for item in same}) == 1
        assert same[-1].rank - same[0].rank == len(same) - 1
    assert len({item.score for item in ranking}) == len(seen)
    for played in ranking.rounds:
        assert sum(played.probabilities) == pytest.approx(1)
        gone = {texts[i] for i in played.excluded}
        assert {i for i in played.alive if texts[i] in gone} == set(played.excluded)


@pytest.mark.parametrize("method", ["iranker", "dranker"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"speculate": False},
        {"attention_backend": "reference"},
        {"dtype": "float32"},
        {"dtype": "float16", "attention_backend": "reference"},
        {"model": TINY_START, "attention_mode": "causal"},
        {"model": TINY_START, "attention_mode": "causal", "relayout": "keep", "dtype": "float32"},
    ],
)
def test_equal_texts_share_a_score_and_keep_their_order(settings: dict[str, Any], method: Any) -> None:
    lists = [texts_with_repeats(seed) for seed in range(12)]
    with Ranker(method=method, **settings) as ranker:
        alone = [ranker.rank(QUERY, texts) for texts in lists]
        together = ranker.rank_batch([(QUERY, texts) for texts in lists], progress=False)
    for texts, one, other in zip(lists, alone, together, strict=True):
        assert_equal_out(one, texts)
        assert_equal_out(other, texts)


@pytest.mark.parametrize("n", [2, 3, 20])
def test_nothing_but_one_text_keeps_the_input_order(n: int) -> None:
    with Ranker() as ranker:
        ranking = ranker.rank("q", ["same"] * n)
    assert ranking.order == list(range(n))
    assert {item.score for item in ranking} == {1.0}
    assert ranking.stats.forward_passes == 1  # the text is read for its relevance, and compared with nobody


def test_a_repeated_text_changes_nobody_elses_round() -> None:
    """A list with repeats is ranked as the list without them."""
    with Ranker() as ranker:
        for seed in range(8):
            texts = texts_with_repeats(seed)
            once = list(dict.fromkeys(texts))
            few, many = ranker.rank(QUERY, once), ranker.rank(QUERY, texts)
            assert list(dict.fromkeys(item.text for item in many)) == [item.text for item in few]
            assert {i.text: i.score for i in many} == {i.text: i.score for i in few}
            assert len(many.rounds) == len(few.rounds) == len(once) - 1


def test_a_cut_text_that_repeats_is_reported_for_each() -> None:
    long = "bees and flowers " * 700
    with Ranker() as ranker:
        ranking = ranker.rank(QUERY, [long, "bees", long])
    assert [(r.kind, r.index) for r in ranking.repairs] == [("truncated", 0), ("truncated", 2)]
