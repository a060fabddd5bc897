"""The evaluation's arithmetic, against brute force."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from rranker.data import Case
from rranker.training.evaluate import random_reciprocal_rank, reciprocal_rank, summary


@pytest.mark.parametrize("grades", [[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.5, 0.0], [0.5] * 3, [2.0]])
def test_the_random_row_is_the_mean_over_all_orders(grades: list[float]) -> None:
    case = Case("passage", "q", None, [str(i) for i in range(len(grades))], grades, "q")
    every = [reciprocal_rank(case, order) for order in permutations(range(len(grades)))]
    assert random_reciprocal_rank(case) == pytest.approx(np.mean(every))


def test_cases_of_one_query_count_as_one() -> None:
    cases = [Case("passage", "q", None, ["a"], [1.0], id) for id in ("x", "x", "x", "y")]
    row = summary(cases, [1.0, 1.0, 1.0, 0.0])
    assert row["queries"] == 2
    assert row["mrr"] == pytest.approx(0.5)
    assert row["low"] <= 0.5 <= row["high"]
