"""Requests that are cancelled before they ran, or whose engine is closed, are held by nobody."""

from __future__ import annotations

import weakref

import pytest

from rranker.engine.engine import Engine
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest
from rranker.methods import Elimination, Greedy
from tests.support.architectures import tiny_model
from tests.support.engine_steps import problem


@pytest.fixture
def engine():
    lm = tiny_model("qwen3")
    return Engine(
        lm, IdentifierReadout(lm), attention_mode="block", kv_cache_tokens=400, max_batch_tokens=150
    )


def request_of(seed):
    return EngineRequest(problem(seed, n=6), Greedy(Elimination(6)))


def test_who_is_cancelled_while_waiting_is_let_go_before_its_turn(engine):
    crowd = [engine.submit(request_of(seed), flow=1) for seed in range(20)]
    engine.step()  # what waits now has no room yet
    last, other = engine.submit(request_of(20), flow=1), engine.submit(request_of(21), flow=2)
    assert {handle.status for handle in (crowd[-1], last, other)} == {"waiting"}
    prompts = [weakref.ref(handle.request.method) for handle in (crowd[-1], last, other)]
    for handle in (crowd.pop(), last, other):
        engine.cancel(handle)
        assert handle.status == "cancelled"
    del handle, last, other
    assert [reference() for reference in prompts] == [None] * 3
    while not all(handle.done for handle in crowd):
        engine.step()
    assert {handle.status for handle in crowd} == {"finished"}


def test_closing_lets_go_of_who_waits(engine):
    waiting = [weakref.ref(engine.submit(request_of(seed)).request.method) for seed in range(5)]
    engine.close()
    assert [reference() for reference in waiting] == [None] * 5
