"""Batches: one bad query never loses the others, an error names its query, a method can be chosen per call."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rranker import CapacityError, Ranker, Ranking
from tests.support.checkpoints import TINY_START
from tests.support.samples import QUERY, TEXTS


@pytest.fixture(scope="module")
def ranker() -> Any:
    with Ranker(TINY_START, kv_cache_tokens=1024) as made:
        yield made


BAD = {
    "an over-long query": (("bees " * 5000, TEXTS), ValueError, "shorten the query"),
    "too many tokens": (
        (["a long title of a film"] * 2000, TEXTS),
        CapacityError,
        "KV tokens",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_one_bad_query_is_named_before_any_work(ranker: Ranker, name: str, monkeypatch: Any) -> None:
    bad, kind, message = BAD[name]
    monkeypatch.setattr(ranker._scorer.engine.runner, "hidden", lambda plan: pytest.fail("work was done"))
    with pytest.raises(kind, match=rf"queries\[2\]: .*{message}"):
        ranker.rank_batch([(QUERY, TEXTS), (QUERY, TEXTS), bad, (QUERY, TEXTS)], progress=False)


@pytest.mark.parametrize("name", BAD)
def test_one_bad_query_loses_nothing_of_the_batch(ranker: Ranker, name: str) -> None:
    bad, kind, message = BAD[name]
    good = [(f"{QUERY} {i}", TEXTS) for i in range(4)]
    found = ranker.rank_batch([*good[:2], bad, *good[2:]], progress=False, on_error="return")
    assert isinstance(found[2], kind)
    assert message in str(found[2])
    assert "queries[2]" in str(found[2])
    for item, ranking in zip(good, [*found[:2], *found[3:]], strict=True):
        assert isinstance(ranking, Ranking)
        assert ranking.order == ranker.rank(*item).order


def test_a_text_that_would_be_cut_is_refused_by_name_under_error() -> None:
    long = [*TEXTS, "bees and flowers " * 700]
    with Ranker(truncate="error") as ranker:
        found = ranker.rank_batch([(QUERY, TEXTS), (QUERY, long)], progress=False, on_error="return")
        assert isinstance(found[0], Ranking)
        assert "queries[1]: candidate 5 takes" in str(found[1])


def test_a_failure_during_the_work_belongs_to_its_query(ranker: Ranker, monkeypatch: Any) -> None:
    def gives_up(plan: Any) -> Any:
        raise RuntimeError("gave up")

    monkeypatch.setattr(ranker._scorer.engine.runner, "hidden", gives_up)
    found = ranker.rank_batch([(QUERY, TEXTS), (QUERY, TEXTS[:1])], progress=False, on_error="return")
    assert isinstance(found[0], RuntimeError)
    assert "queries[0]" in "".join(found[0].__notes__)
    assert isinstance(found[1], Ranking)  # one candidate needs no model
    with pytest.raises(RuntimeError, match="gave up") as caught:
        ranker.rank_batch([(QUERY, TEXTS)], progress=False)
    assert any("queries[0]" in note for note in caught.value.__notes__)
    monkeypatch.undo()
    assert isinstance(ranker.rank(QUERY, TEXTS), Ranking)
    assert ranker._scorer.engine.runner.kv_cache.allocator.free == 1024


def test_a_method_can_be_chosen_per_call(ranker: Ranker) -> None:
    assert ranker.rank(QUERY, TEXTS).method == "iranker"
    one_shot = ranker.rank(QUERY, TEXTS, method="dranker")
    assert (one_shot.method, len(one_shot.rounds)) == ("dranker", 1)
    batch = ranker.rank_batch([(QUERY, TEXTS)], method="dranker", progress=False)
    assert batch[0].order == one_shot.order
    with pytest.raises(ValueError, match="method must be one of 'iranker', "):
        ranker.rank(QUERY, TEXTS, method="oracle")


def test_a_batch_keeps_ids_and_errors_name_them(ranker: Ranker) -> None:
    queries = [
        {"id": "q1", "query": QUERY, "candidates": TEXTS},
        {"id": "q2", "query": QUERY, "candidates": "one string"},
        {"id": "q3", "query": "bees " * 5000, "candidates": TEXTS},
    ]
    found = ranker.rank_batch(queries, progress=False, on_error="return")
    assert isinstance(found[0], Ranking)
    assert found[0].query_id == "q1"
    assert "queries[1] (id 'q2'): candidates must be" in str(found[1])
    assert "queries[2] (id 'q3'): " in str(found[2])


def test_a_wrong_setting_of_the_call_is_no_querys_error(ranker: Ranker) -> None:
    for wrong in ({"template": "nonsense"}, {"method": "nonsense"}, {"top_k": 0}):
        with pytest.raises(ValueError, match=r"nonsense|top_k"):
            ranker.rank_batch([(QUERY, TEXTS)] * 3, progress=False, on_error="return", **wrong)  # type: ignore[call-overload]


def test_an_error_of_any_kind_in_a_querys_candidates_is_its_own(ranker: Ranker) -> None:
    def broken() -> Iterator[str]:
        yield "a"
        raise KeyError("row 7")

    found = ranker.rank_batch([(QUERY, TEXTS), (QUERY, broken())], progress=False, on_error="return")
    assert isinstance(found[0], Ranking)
    assert "queries[1]" in str(found[1])
    assert "row 7" in str(found[1])


def test_on_error_is_checked(ranker: Ranker) -> None:
    with pytest.raises(ValueError, match="on_error must be one of 'raise', 'return'"):
        ranker.rank_batch([], on_error="ignore")  # type: ignore[call-overload]


def test_a_short_query_is_not_held_up_by_a_long_batch(ranker: Ranker) -> None:
    """While one thread ranks a long batch, another's single query comes through."""
    batch = [(f"{QUERY} {i}", [f"{text} {i} {k}" for k in range(4) for text in TEXTS]) for i in range(150)]
    started, ends = threading.Event(), {}
    original = ranker._scorer.engine.runner.hidden

    def noticed(plan: Any) -> Any:
        started.set()
        return original(plan)

    def long() -> None:
        ranker.rank_batch(batch, progress=False)
        ends["long"] = time.monotonic()

    ranker._scorer.engine.runner.hidden = noticed  # type: ignore[method-assign]
    try:
        thread = threading.Thread(target=long)
        thread.start()
        assert started.wait(60)
        ranker.rank(QUERY, TEXTS)
        ends["short"] = time.monotonic()
        thread.join()
    finally:
        ranker._scorer.engine.runner.hidden = original  # type: ignore[method-assign]
    assert ends["short"] < ends["long"]
