"""In float32 a ranking does not depend on speculation or on what is ranked beside it."""

from __future__ import annotations

import pytest

from bench.lossless import rankings

QUERIES = 32


@pytest.fixture(scope="module")
def exact():
    return rankings("float32", speculate=False, batch=1, queries=QUERIES)


@pytest.mark.parametrize(("speculate", "batch"), [(True, 1), (False, QUERIES), (True, QUERIES)])
def test_float32_orders_are_those_of_each_query_alone_round_by_round(exact, speculate, batch):
    found = rankings("float32", speculate=speculate, batch=batch, queries=QUERIES)
    assert [ranking.order for ranking in found] == [ranking.order for ranking in exact]
