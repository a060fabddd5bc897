"""Films, music and games: splits by user, windows in time order, honest negatives."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rranker.data import Interactions, games, lastfm, movielens, recommendation_cases

pytestmark = pytest.mark.data

READERS = {"movies": (movielens, 610, 596), "music": (lastfm, 1891, 595), "games": (games, 50_546, 2_400)}


@pytest.fixture(scope="module", params=list(READERS))
def loaded(request: pytest.FixtureRequest) -> tuple[Interactions, int, int]:
    reader, users, usable = READERS[request.param]
    read: Callable[[], Interactions] = reader
    return read(), users, usable


def test_counts_are_those_of_the_sources(loaded: tuple[Interactions, int, int]) -> None:
    found, users, usable = loaded
    assert len(found.histories) == users
    assert sum(len(items) > 20 for items in found.histories) == pytest.approx(usable, rel=0.08)
    assert not any("&amp;" in title or "&#39;" in title for title in found.titles)
    assert len(found.test_users) == users // 5


def test_cases_hold_the_next_item_and_nothing_else_the_user_knows(
    loaded: tuple[Interactions, int, int],
) -> None:
    found, _, _ = loaded
    number = {title: i for i, title in enumerate(found.titles)}
    for case in recommendation_cases(found, "test", "popular", limit=60):
        items = found.histories[int(case.id.rsplit("-", 1)[1])]
        assert [number[title] for title in case.query] == list(items[:20])
        assert len(set(case.candidates)) == 20
        assert sum(case.relevance) == 1
        known = [
            grade
            for text, grade in zip(case.candidates, case.relevance, strict=True)
            if number[text] in items
        ]
        assert known == [1.0]
        assert number[case.candidates[case.relevance.index(1.0)]] == items[20]


def test_splits_are_seeded_and_disjoint(loaded: tuple[Interactions, int, int]) -> None:
    found, _, _ = loaded
    assert found.test_users.isdisjoint(found.train_users)
    once = recommendation_cases(found, "test", "uniform", limit=5)
    assert once == recommendation_cases(found, "test", "uniform", limit=5)
    assert once != recommendation_cases(found, "test", "popular", limit=5)
    assert found.validation_users.isdisjoint([*found.train_users, *found.test_users])
    assert len(found.validation_users) + len(found.train_users) + len(found.test_users) == len(
        found.histories
    )
    trained = sum(len(found.histories[u]) for u in [*found.train_users, *found.validation_users])
    assert found.popularity.sum() == trained
