"""Replicas on several devices: one's results, shared work, errors and slots where they belong. Here all are the CPU."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

from rranker import Ranker, Ranking
from rranker.cli.errors import Failure
from rranker.cli.loading import load_ranker
from rranker.methods import method_names
from rranker.scorers.replicas import Replicas
from tests.support.checkpoints import TINY_START
from tests.support.samples import QUERY, TEXTS

SLOTS = 4096
IDLE = ([SLOTS, SLOTS], [0, 0])
TWO = ["cpu", "cpu"]
MANY = [f"{text} {i}" for i in range(3) for text in TEXTS]
QUERIES: list[Any] = [(f"{QUERY} {n}", (MANY * 2)[:n]) for n in (0, 1, 2, 20, 7, 3, 9, 12)]


@pytest.fixture(scope="module", params=["bundled", "causal"])
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    settings: dict[str, Any] = {"dtype": "float32", "kv_cache_tokens": SLOTS}
    return (
        settings
        if request.param == "bundled"
        else settings | {"model": TINY_START, "attention_mode": "causal"}
    )


@pytest.fixture(scope="module")
def one(settings: dict[str, Any]) -> Iterator[Ranker]:
    with Ranker(**settings) as ranker:
        yield ranker


@pytest.fixture(scope="module")
def made(settings: dict[str, Any]) -> Iterator[Ranker]:
    with Ranker(devices=TWO, **settings) as ranker:
        yield ranker


@pytest.fixture
def two(made: Ranker) -> Iterator[Ranker]:
    """Both replicas are idle again after each test, and neither is thought to have work left."""
    yield made
    late = time.monotonic() + 10  # what was given up ends with the step that it is in the middle of
    while (held := (free(made), made._player._left)) != IDLE and time.monotonic() < late:  # type: ignore[union-attr]
        time.sleep(0.01)
    assert held == IDLE


@pytest.fixture
def passes(two: Ranker, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Of each replica, the threads that its forward passes ran in."""
    seen: list[list[str]] = [[], []]

    def watched(number: int, runner: Any) -> None:
        original = runner.hidden

        def hidden(plan: Any) -> Any:
            seen[number].append(threading.current_thread().name)
            return original(plan)

        monkeypatch.setattr(runner, "hidden", hidden)

    for number, engine in enumerate(engines(two)):
        watched(number, engine.runner)
    return seen


def replicas(ranker: Ranker) -> Replicas:
    assert isinstance(ranker._scorer, Replicas)
    return ranker._scorer


def engines(ranker: Ranker) -> list[Any]:
    return [scorer.engine for scorer in replicas(ranker).scorers]  # type: ignore[attr-defined]


def free(ranker: Ranker) -> list[int]:
    return [engine.runner.kv_cache.allocator.free for engine in engines(ranker)]


def same(found: Any, expected: Ranking) -> bool:
    """Equal in all but the last bits, which depend on who shares a pass."""
    assert found.order == expected.order
    assert [item.score for item in found] == pytest.approx([item.score for item in expected], abs=1e-5)
    assert [played.excluded for played in found.rounds] == [played.excluded for played in expected.rounds]
    assert found.repairs == expected.repairs
    return True


def all_same(found: Sequence[Any], expected: Sequence[Ranking]) -> bool:
    return all(same(*pair) for pair in zip(found, expected, strict=True))


def breaks(*args: object) -> None:
    raise FloatingPointError("this device broke")


def test_a_device_that_broke_gets_no_more_queries(
    settings: dict[str, Any], one: Ranker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = [0]

    def broken(plan: Any) -> Any:
        asked[0] += 1
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    expected = one.rank_batch(QUERIES, progress=False)
    with Ranker(devices=TWO, **settings) as ranker:
        monkeypatch.setattr(engines(ranker)[0].runner, "hidden", broken)
        first = ranker.rank_batch(QUERIES, progress=False, on_error="return")
        failed = [found for found in first if isinstance(found, Exception)]
        assert 0 < len(failed) < len(QUERIES)  # its own queries, and nobody else's
        assert all("illegal memory access" in str(error) for error in failed)
        passes = asked[0]
        assert all_same(ranker.rank_batch(QUERIES, progress=False), expected)
        assert all_same([ranker.rank(*query) for query in QUERIES], expected)
        assert asked[0] == passes
        assert caplog.text.count("gets no more queries") == 1
        monkeypatch.setattr(engines(ranker)[1].runner, "hidden", broken)
        for _ in range(2):  # with none left the error is said, to every query
            found = ranker.rank_batch(QUERIES[3:], progress=False, on_error="return")
            assert all(isinstance(ranking, Exception) for ranking in found)


def test_results_are_those_of_one_in_every_way_to_call(one: Ranker, two: Ranker) -> None:
    for method in sorted(set(method_names()) - {"query_likelihood"}):
        expected = one.rank_batch(QUERIES, method=method, progress=False)
        assert all_same(two.rank_batch(QUERIES, method=method, progress=False), expected)
    expected = one.rank_batch(QUERIES, progress=False)
    assert [two.rank(*query) for query in QUERIES] == [
        one.rank(*query) for query in QUERIES
    ]  # to the last bit
    assert all_same(asyncio.run(two.arank_batch(QUERIES, progress=False)), expected)

    async def together() -> list[Any]:
        return await asyncio.gather(
            *(two.arank(*query) for query in QUERIES * 5)
        )  # more than there are threads

    assert all_same(asyncio.run(together()), expected * 5)
    stream = two.stream(*QUERIES[3])
    assert tuple(stream) == stream.ranking.rounds
    assert same(stream.ranking, expected[3])


def test_windows_and_layouts_of_a_query_are_those_of_one(
    one: Ranker, two: Ranker, passes: list[list[str]]
) -> None:
    for more in ({"window": 4}, {"self_consistency": 3}, {"long_text": "chunk"}):
        expected = one.rank(QUERY, MANY, **more)  # type: ignore[arg-type]
        assert two.rank(QUERY, MANY, **more) == expected  # type: ignore[arg-type]
    assert passes[0]
    assert not passes[1]  # one query after the other, each wholly on the first that is idle


def test_a_batch_keeps_both_busy_each_in_its_own_thread(two: Ranker, passes: list[list[str]]) -> None:
    two.rank_batch([(f"{QUERY} {i}", MANY) for i in range(8)], progress=False)
    assert all(passes)
    threads = [set(names) for names in passes]
    assert [len(names) for names in threads] == [1, 1]


def test_a_stream_computes_nothing_ahead_and_leaves_the_other_replica_to_others(
    two: Ranker, passes: list[list[str]]
) -> None:
    stream = two.stream(QUERY, MANY)
    assert passes == [[], []]
    next(stream)
    assert [len(names) for names in passes] == [1, 0]
    two.rank(QUERY, TEXTS)
    assert len(passes[0]) == 1  # the busy one was not asked
    assert passes[1]
    stream.close()
    assert free(two) == [SLOTS, SLOTS]


def test_cancelling_frees_both_and_disturbs_nobody(one: Ranker, two: Ranker) -> None:
    expected = one.rank(QUERY, MANY)

    async def scenario() -> None:
        stream = two.astream(f"{QUERY} !", MANY)
        await anext(stream)
        kept = asyncio.create_task(two.arank(QUERY, MANY))
        for pause in (0, 0.01, 0.03):  # before they can have begun, and somewhere on their way
            doomed = [asyncio.create_task(two.arank(f"{QUERY} {i}", MANY)) for i in range(6)]
            await asyncio.sleep(pause)
            for task in doomed:
                task.cancel()
            results = await asyncio.gather(*doomed, return_exceptions=True)
            cancelled = [isinstance(result, asyncio.CancelledError) for result in results]
            assert all(cancelled) or pause
            assert all(gone or isinstance(r, Ranking) for gone, r in zip(cancelled, results, strict=True))
        await stream.aclose()
        assert same(await kept, expected)

    asyncio.run(scenario())


def test_an_error_belongs_to_its_query(one: Ranker, two: Ranker, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = [*QUERIES[3:], (QUERY, "one string")]
    expected = one.rank_batch(QUERIES[3:], progress=False)
    found = two.rank_batch(wrong, progress=False, on_error="return")
    assert all_same(found[:-1], expected)
    assert isinstance(found[-1], TypeError)
    with monkeypatch.context() as broken:
        broken.setattr(engines(two)[1].runner, "hidden", breaks)
        found = two.rank_batch(QUERIES[3:], progress=False, on_error="return")
        failed = [isinstance(result, FloatingPointError) for result in found]
        assert 0 < sum(failed) < len(found)
        for result, ranking, lost in zip(found, expected, failed, strict=True):
            assert lost or same(result, ranking)
        with pytest.raises(FloatingPointError, match="this device broke") as raised:
            two.rank_batch(QUERIES[3:], progress=False)
        assert "queries[" in "".join(getattr(raised.value, "__notes__", [str(raised.value)]))
    assert all_same(two.rank_batch(QUERIES[3:], progress=False), expected)


def test_threads_share_them(one: Ranker, two: Ranker) -> None:
    expected, found = one.rank_batch(QUERIES, progress=False), {}

    def call(i: int) -> None:
        found[i] = two.rank_batch(QUERIES, progress=False)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(all_same(found[i], expected) for i in range(4))


def test_close_closes_all() -> None:
    ranker = Ranker(TINY_START, devices=TWO)
    assert ranker.model.name == Ranker(TINY_START).model.name
    scorers, stream = replicas(ranker).scorers, ranker.stream(QUERY, TEXTS)
    next(stream)
    ranker.close()
    assert all(scorer.closed for scorer in scorers)
    with pytest.raises(RuntimeError, match="closed"):
        next(stream)
    with pytest.raises(RuntimeError, match="this Ranker is closed"):
        ranker.rank(QUERY, TEXTS)
    with pytest.raises(RuntimeError, match="this Ranker is closed"):
        _ = ranker.model


def test_the_command_line_takes_them() -> None:
    with load_ranker(model=TINY_START, devices="cpu,cpu") as ranker:
        assert len(replicas(ranker).scorers) == 2
    with pytest.raises(Failure, match="not 'nowhere'"):
        load_ranker(model=TINY_START, devices="cpu,nowhere")


def test_a_copy_has_the_same_devices() -> None:
    with Ranker(TINY_START, devices=TWO) as ranker, pickle.loads(pickle.dumps(ranker)) as copy:
        assert len(replicas(copy).scorers) == 2
        assert copy.rank(QUERY, TEXTS) == ranker.rank(QUERY, TEXTS)


def test_one_device_is_no_replica() -> None:
    with Ranker(TINY_START, devices=["cpu"]) as ranker:
        assert not isinstance(ranker._scorer, Replicas)


@pytest.mark.parametrize(
    ("given", "kind", "says"),
    [
        ({"devices": []}, ValueError, "devices is empty"),
        ({"devices": "cpu"}, TypeError, r"devices must be a list, such as \['cuda:0', 'cuda:1'\]"),
        ({"devices": 2}, TypeError, "devices must be a list"),
        ({"devices": TWO, "device": "cpu"}, ValueError, "leave one of them out"),
        ({"devices": ["cpu", "cuda:77"]}, ValueError, "device 'cuda:77' cannot be used"),
        ({"devices": ["cpu", "nowhere"]}, ValueError, "not 'nowhere'"),
        ({"device": TWO}, TypeError, "`devices` for a replica on each"),
    ],
)
def test_wrong_devices_are_named(given: dict[str, Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        Ranker(TINY_START, **given)


def test_a_loaded_model_has_one_device() -> None:
    with Ranker(TINY_START) as ranker:
        loaded = ranker.model
        with pytest.raises(ValueError, match="give its checkpoint folder"):
            Ranker(loaded.lm, tokenizer=loaded.tokenizer, devices=TWO)
