"""Threads that load together, processes that fork, objects that are copied."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading

import pytest

import rranker
from rranker import Ranker

TEXTS = [
    "Bees dance to show where flowers are.",
    "The stock exchange opened higher.",
    "Honey keeps for years.",
]
QUERY = "how do bees find flowers?"


def in_a_fresh_process(code: str, seconds: float = 120) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=seconds
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.strip()


THREADS = """
import threading
import rranker
barrier, results = threading.Barrier(8), []
def work(i):
    barrier.wait()
    try:
        results.append(({call}).order)
    except BaseException as error:
        results.append(repr(error))
threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(results), len(set(map(str, results))), results[0])
"""


@pytest.mark.parametrize(
    "call",
    [
        "rranker.rank('bees', ['a hive', 'a bank', 'a jar'])",
        "rranker.Ranker(kv_cache_tokens=512).rank('bees', ['a hive', 'a bank', 'a jar'])",
    ],
)
def test_the_first_calls_of_many_threads_at_once(call: str) -> None:
    """Nothing is imported yet when eight threads call: all of them get the same ranking."""
    count, distinct, order = in_a_fresh_process(THREADS.format(call=call)).split(" ", 2)
    assert (count, distinct) == ("8", "1"), order
    assert sorted(map(int, order.strip("[]").split(","))) == [0, 1, 2]


def test_threads_and_coroutines_share_one_load() -> None:
    code = """
import asyncio
import rranker
import rranker.engine.engine as engine
loads, original = [], engine.load_model
engine.load_model = lambda *a: (loads.append(a), original(*a))[1]
async def main():
    call = lambda: rranker.rank("bees", ["a hive", "a bank", "a jar"])
    return await asyncio.gather(*(asyncio.to_thread(call) for _ in range(6)))
orders = {tuple(r.order) for r in asyncio.run(main())}
print(len(orders), len(loads))
"""
    assert in_a_fresh_process(code) == "1 1"


def test_what_is_loaded_ranks_while_another_model_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    rranker.rank(QUERY, TEXTS)
    started, go_on = threading.Event(), threading.Event()

    def slow(self: Ranker, model: object = None, **settings: object) -> None:
        started.set()
        go_on.wait(60)
        raise RuntimeError("that was the other model")

    monkeypatch.setattr(Ranker, "__init__", slow)

    def load_another() -> None:
        with pytest.raises(RuntimeError, match="the other model"):
            rranker.rank(QUERY, TEXTS, seed=12345)

    other = threading.Thread(target=load_another)
    other.start()
    assert started.wait(60)
    done = threading.Event()
    mine = threading.Thread(target=lambda: (rranker.rank(QUERY, TEXTS), done.set()))
    mine.start()
    waited = done.wait(30)
    go_on.set()
    other.join()
    mine.join()
    assert waited


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize(
    "call", ["ranker.rank('b', ['x', 'y'])", "rranker.rank('b', ['x', 'y'])", "rranker.Ranker()"]
)
def test_a_child_forked_after_the_load_is_told_instead_of_hanging(call: str) -> None:
    code = f"""
import os, signal
import rranker
ranker = rranker.Ranker()
rranker.rank("b", ["x", "y"])
child = os.fork()
if child == 0:
    signal.alarm(30)  # a hang ends as a signal
    try:
        {call}
    except RuntimeError as error:
        os._exit(7 if "spawn" in str(error) and "child" in str(error) else 8)
    os._exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(ranker.rank("b", ["x", "y"]).order == [0, 1] or True)  # the parent goes on
"""
    assert in_a_fresh_process(code).splitlines() == ["7", "True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_may_load_what_its_parent_has_not() -> None:
    code = """
import os, signal
import rranker
child = os.fork()
if child == 0:
    signal.alarm(100)
    os._exit(len(rranker.rank("b", ["x", "y"])))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert in_a_fresh_process(code) == "2"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_async_calls_of_a_scorer_go_on_in_a_child_forked_after_the_first_one() -> None:
    code = """
import asyncio, os, signal
from rranker import Ranker
from rranker.scorers.text import TextScorer

class Second(TextScorer):
    def complete(self, questions):
        return ["2" for _ in questions]

ranker = Ranker(scorer=Second(), method="selection")
order = asyncio.run(ranker.arank("b", ["x", "y", "z"])).order
child = os.fork()
if child == 0:
    signal.alarm(30)  # a hang ends as a signal
    same = asyncio.run(ranker.arank("b", ["x", "y", "z"])).order == order
    ranker.close()
    os._exit(7 if same else 8)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(asyncio.run(ranker.arank("b", ["x", "y", "z"])).order == order)  # the parent goes on
"""
    assert in_a_fresh_process(code).splitlines() == ["7", "True"]


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])
def test_a_copy_ranks_as_the_original(again) -> None:
    with Ranker(method="dranker", kv_cache_tokens=2048, seed=3) as ranker:
        with again(ranker) as other:
            assert other is not ranker
            assert other.rank(QUERY, TEXTS).order == ranker.rank(QUERY, TEXTS).order
            assert other.rank(QUERY, TEXTS).method == "dranker"
        assert len(ranker.rank(QUERY, TEXTS)) == 3  # closing one leaves the other


def test_what_pickle_writes_is_small() -> None:
    with Ranker(kv_cache_tokens=2048) as ranker:
        assert len(pickle.dumps(ranker)) < 2000
