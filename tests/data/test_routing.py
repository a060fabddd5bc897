"""RouterBench: complete rows, no leaks from train to test, ties that stay ties."""

from __future__ import annotations

import numpy as np
import pytest

from rranker.data import DESCRIPTIONS, RouterRow, max_cost, routerbench, routing_cases

pytestmark = pytest.mark.data

Split = tuple[list[RouterRow], list[RouterRow]]


@pytest.fixture(scope="module")
def rows() -> Split:
    return routerbench()


def test_counts_and_no_shared_prompts(rows: Split) -> None:
    train, test = rows
    assert (len(train), len(test)) == (2205, 943)
    assert {row.query for row in train}.isdisjoint(row.query for row in test)


def test_the_few_shot_start_is_gone(rows: Split) -> None:
    for part in rows:
        assert not any("Ian volunteered to eat" in row.query for row in part)
        assert max(row.query.count("Print only a single choice") for row in part) == 1


def test_utilities_follow_the_weights_and_order_is_shuffled(rows: Split) -> None:
    train, test = rows
    top = max_cost(train)
    places = set()
    names = list(DESCRIPTIONS.values())
    for setting, (a, b) in {"performance": (1, 0), "balance": (0.5, 0.5), "cost": (0.2, 0.8)}.items():
        for row, case in list(zip(test, routing_cases(test, setting, top), strict=True))[:50]:
            order = [names.index(text) for text in case.candidates]
            wanted = a * np.array(row.scores) - b * np.array(row.costs) / top
            np.testing.assert_allclose(case.relevance, wanted[order])
            places.add(order[0])
    assert len(places) == len(names)
    assert any(len(set(case.relevance)) < 11 for case in routing_cases(test, "performance", top))
