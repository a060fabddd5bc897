"""One bundled model for all adapters, which says how many async calls it served at the same time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from rranker import Ranker, Ranking
from tests.support.samples import QUERY, TEXTS

# Before they are imported: Haystack reports its use, LiteLLM fetches prices. Tests talk to nobody.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"


class Counting(Ranker):
    """Counts the async calls in flight: an adapter that waits in threads makes none, one that blocks one at a time."""

    in_flight = most = 0

    async def arank(self, *arguments: Any, **settings: Any) -> Ranking:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            return await super().arank(*arguments, **settings)
        finally:
            self.in_flight -= 1


@pytest.fixture(scope="session")
def loaded() -> Iterator[Counting]:
    with Counting() as made:
        yield made


@pytest.fixture
def ranker(loaded: Counting) -> Counting:
    loaded.most = 0
    return loaded


@pytest.fixture(scope="session")
def expected(loaded: Counting) -> Ranking:
    """The order that every adapter must give."""
    ranking = loaded.rank(QUERY, TEXTS, template="passage")
    assert ranking.order != list(range(len(TEXTS)))  # else adapters that do nothing would pass
    return ranking
