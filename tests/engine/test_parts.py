"""A step in parts is the step: the same states, in passes of bounded size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rranker.engine.attention import attention_backend
from rranker.engine.batch import BatchBuilder, Segment
from rranker.engine.engine import Engine
from rranker.engine.parts import in_parts
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest
from rranker.engine.runner import ModelRunner
from rranker.engine.sessions import BlockQueryState, CausalQueryState, KeptQueryState, PointwiseQueryState
from rranker.methods import Elimination, Greedy
from tests.support.architectures import tiny_model
from tests.support.encoders import tiny_encoder
from tests.support.engine_steps import close, problem

STATES = {
    "block": BlockQueryState,
    "causal": CausalQueryState,
    "kept": KeptQueryState,
    "pointwise": PointwiseQueryState,
}
MOST = 16


def step_of_three(runner, readout, state):
    """The builder of a step of three queries, each asked twice; the states that belong to it."""
    builder = runner.builder()
    states = []
    for seed in range(3):
        states.append(state(problem(seed), "exclude", runner.kv_cache, readout))
        assert states[-1].open()
        states[-1].plan(builder, seed, [(0, 1, 2, 3, 4, 5), (0, 1, 2, 3)])
    return builder


def hidden(lm, backend, state, most_rows, slots=1024):
    runner = ModelRunner(lm, attention_backend(backend), slots, most_rows=most_rows)
    return runner.hidden(step_of_three(runner, IdentifierReadout(lm), state).build()).numpy()


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("state", STATES)
def test_a_step_in_parts_has_the_states_of_the_step(state, backend):
    lm = tiny_model("qwen3")
    close(hidden(lm, backend, STATES[state], MOST), hidden(lm, backend, STATES[state], None))


@pytest.mark.parametrize("state", STATES)
def test_windows_reach_over_parts(state):
    lm = tiny_model("mistral", sliding_window=8)
    close(hidden(lm, "cpu", STATES[state], 5), hidden(lm, "cpu", STATES[state], None))


@pytest.mark.parametrize("bias", [0.0, -2.0])
def test_an_encoder_reads_its_texts_whole(bias):
    lm = tiny_encoder("bert")
    found = []
    for most_rows in (MOST, None):
        runner = ModelRunner(lm, attention_backend("cpu"), 1024, bias, most_rows)
        found.append(runner.hidden(encoded(runner).build()).numpy())
    close(*found)


def encoded(runner):
    """A query of 30 tokens and ten texts of 9 that see it, all rows read."""
    builder = runner.builder()
    rng, nothing = np.random.default_rng(0), np.zeros(0, dtype=np.int64)
    prefix = builder.segment(Segment(0, 30, 0))
    builder.chunk(rng.integers(3, 90, 30), 0, nothing, 0, 0)
    for number in range(10):
        builder.chunk(rng.integers(3, 90, 9), 0, np.asarray([prefix]), 0, 30 + 9 * number)
    builder.reads(np.arange(120)[::-1].copy())  # in any order
    return builder


def test_parts_hold_every_row_once_and_no_more_than_they_may():
    runner = ModelRunner(tiny_encoder("bert"), attention_backend("cpu"), 256)
    batch = encoded(runner).build()
    parts = list(in_parts(batch, 20))
    assert [part.rows for part, _ in parts] == [
        30,
        18,
        18,
        18,
        18,
        18,
    ]  # the query alone is larger, and stays whole
    np.testing.assert_array_equal(np.concatenate([part.token_ids for part, _ in parts]), batch.token_ids)
    np.testing.assert_array_equal(np.sort(np.concatenate([places for _, places in parts])), np.arange(120))
    ((whole, places),) = in_parts(batch, 80)  # half as many again stay together
    assert whole is batch
    np.testing.assert_array_equal(places, np.arange(120))


def test_a_long_causal_chunk_is_read_piece_by_piece():
    runner = ModelRunner(tiny_model("qwen3"), attention_backend("cpu"), 256)
    builder = runner.builder()
    builder.chunk(np.arange(3, 53), 0, np.zeros(0, dtype=np.int64), 0, 100)
    parts = [part for part, _ in in_parts(builder.build(), 20)]
    assert [part.rows for part in parts] == [20, 20, 10]
    last = parts[-1]
    (seen,) = last.visible.tolist()
    assert (last.segment_starts[seen], last.segment_lengths[seen], last.segment_positions[seen]) == (
        100,
        40,
        0,
    )


@pytest.mark.parametrize("mode", ["block", "causal"])
def test_no_pass_of_an_engine_is_larger_than_was_asked_for(mode, monkeypatch):
    lm, rows = tiny_model("qwen3"), []
    engine = Engine(lm, IdentifierReadout(lm), attention_mode=mode, kv_cache_tokens=2048, max_batch_tokens=40)
    forward = engine.runner._forward
    monkeypatch.setattr(
        engine.runner, "_forward", lambda ids, *rest: (rows.append(len(ids)), forward(ids, *rest))[1]
    )
    segments = problem(1, n=40, longest=9)
    (done,) = engine.run([EngineRequest(segments, Greedy(Elimination(40), nested=mode == "causal"))])
    assert done.error is None
    assert sum(rows[:3]) < done.tokens_encoded
    assert max(rows) <= 60


def test_rows_of_several_parts_may_be_read_in_any_order():
    builder = BatchBuilder()
    first = builder.chunk(np.arange(3, 9), 0, np.zeros(0, dtype=np.int64), 0, 0)
    second = builder.chunk(np.arange(9, 15), 0, np.zeros(0, dtype=np.int64), 1, 6)
    builder.reads(np.asarray([second + 5, first + 5]))
    lm = tiny_model("llama")
    whole, parted = (
        ModelRunner(lm, attention_backend("cpu"), 64, most_rows=most).hidden(builder.build())
        for most in (None, 6)
    )
    torch.testing.assert_close(parted, whole, atol=1e-6, rtol=1e-6)
