"""The front door: requests come and go between steps, and an error, a cancel or a crowd harms nobody else."""

from __future__ import annotations

import threading
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from rranker.engine.engine import Engine
from rranker.engine.errors import CapacityError
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest
from rranker.methods import Elimination, Greedy
from tests.support.architectures import VOCAB, tiny_model
from tests.support.engine_steps import problem

SLOTS = 400


@pytest.fixture(scope="module")
def lm():
    return tiny_model("qwen3")


@pytest.fixture(params=["block", "causal"])
def engine(lm, request):
    made = Engine(
        lm, IdentifierReadout(lm), attention_mode=request.param, kv_cache_tokens=SLOTS, max_batch_tokens=150
    )
    yield made
    if not made.closed:
        assert made.runner.kv_cache.allocator.free == SLOTS  # whatever happened, every slot came back


def request_of(engine, seed, n=6, **settings):
    segments = problem(seed, n=n, **settings)
    return EngineRequest(segments, Greedy(Elimination(n), nested=engine.attention_mode == "causal"))


def order(request):
    return request.method.outcome().order


def alone(engine, seed, n=6):
    request = request_of(engine, seed, n)
    (handle,) = engine.run([request])
    assert handle.status == "finished"
    return order(request)


class Broken(Greedy):
    """A method with a fault of its own, met in its second round."""

    def observe(self, subsets, logits):
        if self.remaining < 4:
            raise RuntimeError("a fault in the method")
        return super().observe(subsets, logits)


def poisoned(engine, n=6):
    """A prompt with a token that the model does not have: its forward fails."""
    good = request_of(engine, 99, n)
    return EngineRequest(replace(good.segments, prefix=(*good.segments.prefix[:-1], VOCAB + 7)), good.method)


def test_an_error_belongs_to_its_request(engine):
    expected = [alone(engine, seed) for seed in range(6)]
    requests = [request_of(engine, seed) for seed in range(6)]
    bad = poisoned(engine)
    faulty = EngineRequest(problem(50), Broken(Elimination(6), nested=engine.attention_mode == "causal"))
    handles = {
        id(h.request): h for h in engine.run([*requests[:2], bad, *requests[2:4], faulty, *requests[4:]])
    }
    assert len(handles) == 8
    assert isinstance(handles[id(bad)].error, IndexError)
    assert "a fault in the method" in str(handles[id(faulty)].error)
    assert [handles[id(r)].status for r in requests] == ["finished"] * 6
    assert [order(r) for r in requests] == expected


def test_logits_that_are_not_finite_fail_their_own_request_only(engine):
    lm, damaged = tiny_model("qwen3"), 0  # the prompts draw their tokens from 3 up
    lm.get_input_embeddings().weight.data[damaged] = float("nan")
    hurt = Engine(lm, IdentifierReadout(lm), attention_mode=engine.attention_mode, kv_cache_tokens=SLOTS)
    fine, bad = request_of(engine, 0), request_of(engine, 1)
    bad = EngineRequest(replace(bad.segments, prefix=(damaged, *bad.segments.prefix)), bad.method)
    handles = {id(h.request): h for h in hurt.run([fine, bad])}
    assert isinstance(handles[id(bad)].error, FloatingPointError)
    assert handles[id(fine)].status == "finished"
    assert hurt.runner.kv_cache.allocator.free == SLOTS


def test_a_request_that_never_fits_is_refused_at_the_door(engine):
    with pytest.raises(CapacityError, match=f"and the engine has {SLOTS}"):
        engine.submit(request_of(engine, 0, n=60, longest=20))
    with pytest.raises(CapacityError):
        list(engine.run([request_of(engine, 1), request_of(engine, 0, n=60, longest=20)]))


def test_many_are_submitted_with_pauses_and_run_as_they_would_alone(engine):
    """In a pause, and by a step of somebody else there, nothing is lost of what is told later."""
    requests = [request_of(engine, seed) for seed in range(150)]
    steps = engine.watch(requests)
    assert next(steps) == ([], [])
    engine.step()
    told = [handles for handles in steps if handles != ([], [])]
    submitted = [handle.request for handle in told[0][0]]
    done = [handle.request for _, finished in told for handle in finished]
    assert set(map(id, submitted)) == set(map(id, requests))
    assert sorted(map(id, done)) == sorted(map(id, requests))
    assert [order(requests[seed]) for seed in (0, 70, 149)] == [alone(engine, seed) for seed in (0, 70, 149)]


def test_callers_take_turns(engine):
    """One who comes late with one query is served before the long batch of another is through."""
    long = [engine.submit(request_of(engine, seed, n=10), flow=1) for seed in range(40)]
    engine.step()
    assert any(handle.status == "waiting" for handle in long)
    late = engine.submit(request_of(engine, 77), flow=2)
    steps = 0
    while not late.done:
        engine.step()
        steps += 1
    assert sum(handle.status == "waiting" for handle in long) > 10
    while not all(handle.done for handle in long):
        engine.step()
    assert all(handle.status == "finished" for handle in long)
    assert order(late.request) == alone(engine, 77)


def test_a_large_request_is_not_overtaken_for_ever(engine):
    small = [engine.submit(request_of(engine, seed), flow=1) for seed in range(30)]
    large = engine.submit(request_of(engine, 5, n=40, longest=10), flow=2)
    assert large.state.slots > SLOTS * 0.4
    while not large.done:
        engine.step()
    assert any(not handle.done for handle in small)
    while not all(handle.done for handle in small):
        engine.step()


@pytest.mark.parametrize("seed", range(3))
def test_cancelling_at_random_moments_loses_nothing_of_the_rest(engine, seed):
    rng = np.random.default_rng(seed)
    expected = {s: alone(engine, s) for s in range(0, 24, 2)}
    handles = [engine.submit(request_of(engine, s), flow=s % 3) for s in range(24)]
    doomed = list(rng.permutation(np.arange(1, 24, 2)))
    while not all(handle.done for handle in handles):
        for _ in range(int(rng.integers(0, 3))):
            if doomed:
                engine.cancel(handles[doomed.pop()])
        engine.step()
    for s in range(0, 24, 2):
        assert handles[s].status == "finished"
        assert order(handles[s].request) == expected[s]
    assert {h.status for h in handles[1::2]} <= {"cancelled", "finished"}
    assert any(h.status == "cancelled" for h in handles)


def test_eight_threads_of_mixed_sizes_get_what_each_gets_alone(engine):
    sizes = [2, 9, 5, 12, 3, 7, 10, 4]
    expected = {(k, r): alone(engine, 10 * k + r, sizes[k]) for k in range(8) for r in range(3)}
    found = {}

    def work(k):
        requests = [request_of(engine, 10 * k + r, sizes[k]) for r in range(3)]
        assert len(list(engine.run(requests))) == 3
        found.update({(k, r): order(request) for r, request in enumerate(requests)})

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_an_interrupted_pass_leaves_the_others_running(engine, monkeypatch):
    """Ctrl-C in the thread that happens to step: its own request ends, another thread goes on with the rest."""
    expected, original, hit = alone(engine, 1), engine.runner.hidden, threading.Event()
    stepper = threading.current_thread()

    def interrupted(plan):
        if threading.current_thread() is stepper and not hit.is_set():
            hit.set()
            other.start()
            deadline = time.monotonic() + 30
            while "two" not in waiting and time.monotonic() < deadline:
                time.sleep(0.001)
            raise KeyboardInterrupt
        return original(plan)

    waiting, survived = [], []

    def work():
        request = request_of(engine, 1)
        waiting.append("two")
        survived.extend(handle.status for handle in engine.run([request]))
        survived.append(order(request))

    other = threading.Thread(target=work)
    monkeypatch.setattr(engine.runner, "hidden", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(engine.run([request_of(engine, 0)]))
    other.join(30)
    assert survived == ["finished", expected]


def test_a_pass_that_failed_is_repeated_from_what_is_sure(engine, monkeypatch):
    """Every shared pass dies after it has written to the cache: the passes that follow must not trust what it wrote."""
    expected, original, failed = [alone(engine, s) for s in range(3)], engine.runner.hidden, []

    def flaky(plan):
        states = original(plan)
        if len(set(plan.query_indices.tolist())) > 1:
            failed.append(plan.rows)
            raise RuntimeError("out of memory, say")
        return states

    monkeypatch.setattr(engine.runner, "hidden", flaky)
    requests = [request_of(engine, s) for s in range(3)]
    assert [handle.status for handle in engine.run(requests)] == ["finished"] * 3
    assert [order(r) for r in requests] == expected
    assert len(failed) > 1


def test_a_repeated_pass_has_the_memory_of_the_one_that_failed(engine, monkeypatch):
    original, held, alive = engine.runner.hidden, [], []

    def out_of_memory(plan):
        if len(set(plan.query_indices.tolist())) > 1:
            activations = torch.zeros(8)
            held.append(weakref.ref(activations))
            raise RuntimeError("out of memory, say")
        alive.extend(reference() is not None for reference in held)
        return original(plan)

    monkeypatch.setattr(engine.runner, "hidden", out_of_memory)
    list(engine.run([request_of(engine, s) for s in range(3)]))
    assert alive
    assert not any(alive)


def test_an_error_that_is_kept_keeps_no_activations(engine, monkeypatch):
    held = []

    def broken(plan):
        activations = torch.zeros(8)
        held.append(weakref.ref(activations))
        raise RuntimeError("out of memory, say")

    monkeypatch.setattr(engine.runner, "hidden", broken)
    handles = list(engine.run([request_of(engine, s) for s in range(2)]))
    assert [str(handle.error) for handle in handles] == ["out of memory, say"] * 2
    assert not any(reference() is not None for reference in held)


def test_closing_wakes_and_refuses(engine):
    handle = engine.submit(request_of(engine, 0))
    engine.step()
    engine.close()
    assert handle.status == "cancelled"
    late = EngineRequest(problem(1), Greedy(Elimination(6)))
    for call in (engine.step, lambda: engine.submit(late), lambda: list(engine.run([late]))):
        with pytest.raises(RuntimeError, match="closed"):
            call()


def test_guesses_are_priced_by_the_queries_in_flight(lm):
    """Queries that share a pass share its overhead, so a crowd guesses less deep than one query alone."""

    def questions(queries):
        engine = Engine(lm, IdentifierReadout(lm), attention_mode="block", kv_cache_tokens=8000)
        requests = [EngineRequest(problem(s, n=12), Greedy(Elimination(12))) for s in range(queries)]
        handles = list(engine.run(requests))
        asked = sum(h.tokens_encoded - h.state.slots for h in handles) / 3  # tokens of a question
        return asked / queries / 11

    assert questions(16) < questions(1)


def test_a_pass_that_failed_and_was_repeated_is_booked_once(engine):
    (handle,) = engine.run([request_of(engine, 1)])
    together = request_of(engine, 1)
    repeated = [done for done in engine.run([poisoned(engine), together]) if done.request is together]
    assert repeated[0].tokens_encoded == handle.tokens_encoded
