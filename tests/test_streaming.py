"""Streams and async twins: the very rounds of `rank`, shared passes, and slots that come back whatever happens."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

import rranker
from rranker import Ranker, Ranking, Round
from rranker.methods import method_names
from rranker.scorers.text import TextQuestion, TextScorer
from tests.support.checkpoints import TINY_START
from tests.support.samples import QUERY, TEXTS

SLOTS = 4096
MANY = [f"{text} {i}" for i in range(3) for text in TEXTS]


@pytest.fixture(scope="module", params=["bundled", "causal"])
def made(request: pytest.FixtureRequest) -> Iterator[Ranker]:
    settings: dict[str, Any] = {"dtype": "float32", "kv_cache_tokens": SLOTS}
    if request.param == "causal":
        settings |= {"model": TINY_START, "attention_mode": "causal"}
    with Ranker(**settings) as ranker:
        yield ranker


@pytest.fixture
def ranker(made: Ranker) -> Iterator[Ranker]:
    yield made
    assert free(made) == SLOTS


@pytest.fixture
def passes(ranker: Ranker, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every forward pass: by how many queries shared it."""
    seen, original = list[int](), ranker._scorer.engine.runner.hidden  # type: ignore[attr-defined]

    def hidden(plan: Any) -> Any:
        seen.append(len(set(plan.query_indices.tolist())))
        return original(plan)

    monkeypatch.setattr(ranker._scorer.engine.runner, "hidden", hidden)  # type: ignore[attr-defined]
    return seen


def free(ranker: Ranker) -> int:
    return int(ranker._scorer.engine.runner.kv_cache.allocator.free)  # type: ignore[attr-defined]


async def read(stream: rranker.AsyncRankingStream) -> tuple[list[Round], Ranking]:
    return [played async for played in stream], stream.ranking


def test_a_stream_yields_the_rounds_of_rank_and_then_its_ranking(ranker: Ranker) -> None:
    for method in sorted(set(method_names()) - {"query_likelihood"}):
        for texts, top_k in (([*TEXTS, *TEXTS], None), (MANY[:9], 3), (TEXTS[:1], None), ([], None)):
            expected = ranker.rank(QUERY, texts, method=method, top_k=top_k)
            stream = ranker.stream(QUERY, texts, method=method, top_k=top_k)
            assert tuple(stream) == expected.rounds
            assert stream.ranking == expected
            found = asyncio.run(read(ranker.astream(QUERY, texts, method=method, top_k=top_k)))
            assert found == (list(expected.rounds), expected)


def test_a_round_comes_before_later_ones_are_played(ranker: Ranker, passes: list[int]) -> None:
    stream = ranker.stream(QUERY, MANY)
    assert passes == []
    first = next(stream)
    assert (len(first.alive), len(passes)) == (len(MANY), 1)
    with pytest.raises(RuntimeError, match="read the stream to its end first"):
        _ = stream.ranking
    rest = list(stream)
    assert len(passes) > 1
    assert stream.ranking.rounds == (first, *rest)


def test_a_stream_that_is_left_early_gives_its_slots_back(ranker: Ranker) -> None:
    with ranker.stream(QUERY, MANY) as stream:
        next(stream)
        assert free(ranker) < SLOTS
    assert free(ranker) == SLOTS
    assert list(stream) == []
    dropped = ranker.stream(QUERY, MANY)
    next(dropped)
    assert free(ranker) < SLOTS
    del dropped
    gc.collect()
    assert free(ranker) == SLOTS


def test_errors_come_as_from_rank(ranker: Ranker) -> None:
    with pytest.raises(TypeError, match="candidates must be a list of strings"):
        ranker.stream(QUERY, "one string")
    with pytest.raises(ValueError, match="unknown template 'poem'"):
        ranker.astream(QUERY, TEXTS, template="poem")
    with pytest.raises(TypeError, match="a call has no setting 'topk'; did you mean 'top_k'"):
        ranker.rank(QUERY, TEXTS, topk=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="a call has no setting 'zzz'; there are template, task,"):
        asyncio.run(ranker.arank(QUERY, TEXTS, zzz=3))  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="query_likelihood reads the probability of words"):
        next(ranker.stream(QUERY, TEXTS, method="query_likelihood"))
    with pytest.raises(ValueError, match="query_likelihood reads the probability of words"):
        asyncio.run(ranker.arank(QUERY, TEXTS, method="query_likelihood"))


def test_async_batches_are_those_of_rank_batch(ranker: Ranker) -> None:
    queries: list[Any] = [(f"{QUERY} {n}", (MANY * 2)[:n]) for n in (0, 1, 2, 20, 7, 3)]
    expected = ranker.rank_batch(queries, progress=False)
    assert asyncio.run(ranker.arank_batch(queries, progress=False)) == expected
    wrong = [*queries, (QUERY, "one string")]
    found = asyncio.run(ranker.arank_batch(wrong, progress=False, on_error="return"))
    assert found[:-1] == expected
    assert isinstance(found[-1], TypeError)
    with pytest.raises(TypeError, match=r"queries\[6\]: candidates must be"):
        asyncio.run(ranker.arank_batch(wrong, progress=False))


def test_calls_at_the_same_time_share_passes_and_change_nothing(ranker: Ranker, passes: list[int]) -> None:
    queries = [(f"{QUERY} {n}", MANY[: n + 2]) for n in range(12)]
    alone = [ranker.rank(*query) for query in queries]
    apart = len(passes)
    passes.clear()

    async def together() -> list[Any]:
        streams = [read(ranker.astream(*query)) for query in queries[:6]]
        return await asyncio.gather(*streams, *(ranker.arank(*query) for query in queries[6:]))

    found = asyncio.run(together())
    assert [ranking.order for _, ranking in found[:6]] == [ranking.order for ranking in alone[:6]]
    assert [rounds for rounds, _ in found[:6]] == [list(ranking.rounds) for _, ranking in found[:6]]
    assert [ranking.order for ranking in found[6:]] == [ranking.order for ranking in alone[6:]]
    assert max(passes) == len(queries)  # all were laid out before the first step
    assert len(passes) < apart / 2


def test_a_call_does_not_wait_until_a_large_batch_is_laid_out(
    ranker: Ranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = [(f"{QUERY} {n}", MANY[:4]) for n in range(40)]
    expected, laid_out = ranker.rank_batch(batch, progress=False), list[str]()
    prepare = ranker._scorer.prepare

    def noted(request: Any, method: Any) -> Any:
        laid_out.append(request.query)
        return prepare(request, method)

    monkeypatch.setattr(ranker._scorer, "prepare", noted)

    async def together() -> list[Any]:
        return await asyncio.gather(ranker.arank_batch(batch, progress=False), ranker.arank("late", TEXTS))

    found, _ = asyncio.run(together())
    assert [ranking.order for ranking in found] == [ranking.order for ranking in expected]
    assert laid_out.index("late") < 20


def test_cancelling_frees_what_was_held_and_disturbs_nobody(ranker: Ranker) -> None:
    expected = ranker.rank(QUERY, MANY).order

    async def scenario() -> None:
        kept = asyncio.create_task(ranker.arank(QUERY, MANY))
        doomed = [asyncio.create_task(ranker.arank(f"{QUERY} {i}", MANY)) for i in range(6)]
        stream = ranker.astream(f"{QUERY} !", MANY)
        await anext(stream)
        held = free(ranker)
        for number, task in enumerate(doomed):
            task.cancel()
            if number % 2:
                await asyncio.sleep(0)
        results = await asyncio.gather(*doomed, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)
        assert held < SLOTS
        await stream.aclose()
        assert (await kept).order == expected
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(0.001):
                await ranker.arank(QUERY, MANY * 3)
        await ranker.arank(QUERY, TEXTS)  # behind the last step of what was given up

    asyncio.run(scenario())
    assert free(ranker) == SLOTS


def test_a_closed_ranker_says_so_in_every_way() -> None:
    ranker = Ranker(TINY_START)
    ranker.close()
    with pytest.raises(RuntimeError, match="closed"):
        ranker.stream(QUERY, TEXTS)
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(ranker.arank(QUERY, TEXTS))


class Waits(TextScorer):
    """Answers when as many questions are asked at the same time as it was told to wait for."""

    def __init__(self, parties: int) -> None:
        self.barrier = threading.Barrier(parties)

    def complete(self, questions: Sequence[TextQuestion]) -> list[str | Exception]:
        self.barrier.wait(timeout=20)
        return ["[1]" for _ in questions]


def test_calls_of_a_scorer_that_waits_for_others_wait_together() -> None:
    """A remote model's latency is not paid one call after the other."""
    with Ranker(scorer=Waits(5)) as ranker:

        async def together() -> list[Ranking]:
            return await asyncio.gather(*(ranker.arank(QUERY, TEXTS) for _ in range(5)))

        assert [ranking.order[-1] for ranking in asyncio.run(together())] == [0] * 5
    with Ranker(scorer=Waits(1)) as ranker:
        stream = ranker.stream(QUERY, TEXTS)
        assert next(stream).excluded == (0,)
        assert len(list(stream)) == 3


def test_the_module_has_the_same_calls() -> None:
    expected = rranker.rank(QUERY, TEXTS, top_k=2, dtype="float32")
    stream = rranker.stream(QUERY, TEXTS, top_k=2, dtype="float32")
    assert tuple(stream) == expected.rounds
    assert stream.ranking == expected
    assert asyncio.run(rranker.arank(QUERY, TEXTS, top_k=2, dtype="float32")) == expected
