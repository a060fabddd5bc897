"""What `bench.calibration` prints: each row from the values that it names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.calibration import family_tables, line, pairs, plot, relevances
from rranker import Ranking
from rranker.data import RankingExample
from rranker.types import RankedCandidate


def ranking(order: Sequence[int], relevance: Sequence[float]) -> Ranking:
    return Ranking(
        tuple(
            RankedCandidate(rank, index, None, str(index), 1 - rank / 10, relevance=value)
            for rank, (index, value) in enumerate(zip(order, relevance, strict=True), 1)
        )
    )


CASES = [
    RankingExample("passage", "q", None, ["a", "b"], [0.0, 1.0], "1"),
    RankingExample("passage", "r", None, ["a", "b", "c"], [0.0, 0.0, 1.0], "2"),
]
RANKINGS = [ranking([1, 0], [1.0, 0.0]), ranking([2, 0, 1], [1.0, 0.0, 0.0])]


def test_labels_follow_the_rankings_order() -> None:
    probabilities, labels = pairs(RANKINGS, CASES, relevances)
    assert probabilities.tolist() == labels.tolist() == [1.0, 0.0, 1.0, 0.0, 0.0]


def test_a_perfect_model_has_no_error_and_plain_rows_have() -> None:
    text, scored = family_tables("passage", CASES, {"ours": RANKINGS})
    assert "| ours: relevance | 0.000 | 0.000 | 0.000 |" in text
    assert "5 candidates, 0.400 of them relevant" in text
    assert "| base rate | 0.000 | 0.000 | 0.240 |" in text
    assert "| 3 | 0.000 | 0.000 |" in text
    assert "| 2 | 1.000 | 1.000 |" in text
    assert scored["ours"][0].tolist() == [1.0, 0.0, 1.0, 0.0, 0.0]
    assert line("off", np.array([1.0]), np.array([0.0])) == "| off | 1.000 | 1.000 | 1.000 |"


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot(tmp_path / "a.png", {"passage": {"ours": pairs(RANKINGS, CASES, relevances)}})
    assert (tmp_path / "a.png").stat().st_size > 1000
