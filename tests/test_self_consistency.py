"""Several layouts, averaged: the mean of the single rankings, and no help to whoever stands first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rranker import Ranker
from rranker.ordering import canonical_order
from rranker.scorers.text import TextQuestion, TextScorer
from tests.support.samples import QUERY, TEXTS


def test_it_is_the_mean_of_single_rankings(folder: Path) -> None:
    """A language model in causal attention, where a layout is nothing but an order of the input."""
    with Ranker(folder, dtype="float32") as ranker:
        for method in ("dranker", "iranker", "tournament"):
            ranking = ranker.rank(QUERY, TEXTS, method=method, self_consistency=4)
            totals = np.zeros(len(TEXTS))
            runs = [list(range(len(TEXTS))), *(canonical_order(TEXTS, number) for number in (1, 2, 3))]
            singles = [ranker.rank(QUERY, [TEXTS[i] for i in order], method=method) for order in runs]
            for order, single in zip(runs, singles, strict=True):
                for item in single:
                    totals[order[item.index]] += item.score
            assert ranking.order == np.argsort(-totals, kind="stable").tolist()
            # The layouts share forward passes, and on some CPUs the last bits of a product go by its rows.
            first = singles[0].rounds
            assert [round_.alive for round_ in ranking.rounds] == [round_.alive for round_ in first]
            assert [round_.excluded for round_ in ranking.rounds] == [round_.excluded for round_ in first]
            for one, other in zip(ranking.rounds, first, strict=True):
                assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)
            assert ranking.stats.tokens_encoded == sum(single.stats.tokens_encoded for single in singles)
            stream = ranker.stream(QUERY, TEXTS, method=method, self_consistency=4)
            assert (tuple(stream), stream.ranking) == (ranking.rounds, ranking)
            assert asyncio.run(ranker.arank(QUERY, TEXTS, method=method, self_consistency=4)) == ranking
        assert (
            len(
                {
                    tuple(ranker.rank(QUERY, TEXTS, method="dranker", self_consistency=r).order)
                    for r in (2, 3, 9)
                }
            )
            > 1
        )


class LikesTheFirst(TextScorer):
    """Names the best wherever it stands, and else whoever is shown first."""

    def complete(self, questions: Sequence[TextQuestion]) -> list[str | Exception]:
        return [self.answer(question) for question in questions]

    def answer(self, question: TextQuestion) -> str:
        order = sorted(range(len(question.texts)), key=lambda i: question.texts[i] != "best")
        return " > ".join(f"[{i + 1}]" for i in order)


def test_a_preference_for_places_averages_out() -> None:
    texts = [*(f"text {i}" for i in range(9)), "best", "text 3"]
    with Ranker(scorer=LikesTheFirst(), method="dranker") as ranker:
        once, often = ranker.rank("q", texts), ranker.rank("q", texts, self_consistency=20)
    assert once[0].text == often[0].text == "best"
    assert once.order[1:] == [0, 1, 2, 3, 10, 4, 5, 6, 7, 8]
    assert often.order[1:] != once.order[1:]
    assert sorted(often.order) == list(range(11))


def test_it_works_with_windows_parts_and_relevance() -> None:
    with Ranker(dtype="float32") as ranker:
        texts = [*TEXTS, "The committee met on Tuesday. " * 120]
        once = ranker.rank(QUERY, texts, window=3, long_text="chunk")
        often = ranker.rank(QUERY, texts, window=3, long_text="chunk", self_consistency=2)
        assert sorted(often.order) == list(range(6))
        assert {i.index: i.relevance for i in often} == pytest.approx(
            {i.index: i.relevance for i in once}, abs=0.05
        )
        assert all(item.span is not None for item in often)
        assert {repair.kind for repair in often.repairs} == {"chunked", "windowed"}
        for wrong in (1, 0):
            with pytest.raises(ValueError, match="self_consistency"):
                ranker.rank(QUERY, TEXTS, self_consistency=wrong)
