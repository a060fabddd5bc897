"""Steps that are padded to a few sizes and replayed say what they say run operator by operator.

Without a GPU a stand-in records: a replay calls the recorded function again, over the same buffers.
"""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from rranker.engine import replay
from rranker.engine.attention import attention_backend
from rranker.engine.attention.replayed import ReplayedAttention, padded_work, sizes_of
from rranker.engine.attention.triton_metadata import attention_metadata
from rranker.engine.engine import Engine
from rranker.engine.kv.cache import KVCache
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest
from rranker.kernels.attention import kernel
from rranker.kernels.attention.reference import attention_reference
from rranker.methods import Elimination, Greedy
from tests.support.architectures import tiny_model
from tests.support.engine_steps import close
from tests.support.engine_steps import problem as prompt
from tests.support.kernel_problems import dense_attention, problem, relative_error

CPU = torch.device("cpu")


class StandIn:
    """A recorder for machines without CUDA. As a graph does, a replay gives one and the same tensor."""

    def __init__(self, fails=False):
        self.recorded, self.replayed, self._fails = 0, 0, fails

    def __call__(self, function):
        if self._fails:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.recorded += 1
        result = function().clone()

        def again():
            self.replayed += 1
            return result.copy_(function())

        return again


@pytest.fixture
def plain_kernel(monkeypatch):
    """The attention kernel's reference in its place: this is about what it is told, not about how it computes."""
    monkeypatch.setattr(kernel, "attention", attention_reference)


def engine_of(lm, recorder=None, **settings):
    made = Engine(
        lm,
        IdentifierReadout(lm),
        attention_mode="block",
        attention_backend=attention_backend("triton"),
        kv_cache_tokens=4096,
        **settings,
    )
    made.runner.kernels = False  # the score kernel is as it is: read by the plain way
    if recorder is not None:
        made.runner.record_by(recorder)
    return made


def outcomes(engine, sizes=(5, 7), seeds=1):
    methods = [Greedy(Elimination(n)) for n in sizes]
    requests = [
        EngineRequest(prompt(n + seeds, n=n), method) for n, method in zip(sizes, methods, strict=True)
    ]
    for handle in engine.run(requests):
        if handle.error is not None:
            raise handle.error
    return [method.outcome() for method in methods]


@pytest.mark.parametrize(("name", "speculate"), [("qwen3", True), ("granite", False)])
def test_replayed_rankings_equal_those_run_operator_by_operator(plain_kernel, name, speculate):
    lm, recorder = tiny_model(name), StandIn()
    replaying, eager = engine_of(lm, recorder, speculate=speculate), engine_of(lm, speculate=speculate)
    for seeds in range(3):  # the same sizes come up again, with other questions in them
        for one, other in zip(outcomes(replaying, seeds=seeds), outcomes(eager, seeds=seeds), strict=True):
            assert one.order == other.order
            close(np.array(one.kept), np.array(other.kept))
    counts = replaying.runner.replays.counts
    assert 0 < recorder.recorded < recorder.replayed
    assert counts["recorded"] == recorder.recorded
    assert counts["replayed"] == recorder.replayed
    assert counts["keys to store"] >= 3  # each query's first step


def test_a_step_of_its_own_size_is_recorded_when_it_comes_a_second_time(plain_kernel):
    lm, recorder = tiny_model("llama"), StandIn()
    engine = engine_of(lm, recorder, speculate=False)
    outcomes(engine, (4,))  # 3 rounds: encoding, a new size, and that size again
    assert (recorder.recorded, recorder.replayed) == (1, 1)
    assert engine.runner.replays.counts == {"keys to store": 1, "a new size": 1, "recorded": 1, "replayed": 1}


def test_what_cannot_be_recorded_runs_operator_by_operator_and_says_so_once(plain_kernel, caplog):
    lm = tiny_model("llama")
    engine = engine_of(lm, StandIn(fails=True))
    with caplog.at_level(logging.WARNING, "rranker"):
        found = [outcomes(engine, seeds=seeds) for seeds in range(3)]
    expected = [outcomes(engine_of(lm), seeds=seeds) for seeds in range(3)]
    assert [[x.order for x in each] for each in found] == [[x.order for x in each] for each in expected]
    assert [record.message for record in caplog.records] == [
        "this model's steps cannot be recorded as CUDA graphs, and run operator by operator: "
        "operation not permitted when stream is capturing"
    ]
    assert isinstance(engine.runner.replays.failure, RuntimeError)


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("MOST_ROWS", 5, "too many rows"),
        ("MOST_PARTS", 1, "too many parts"),
        ("MOST_GRAPHS", 0, "a new size"),
    ],
)
def test_what_is_too_large_is_left_to_run_as_it_is(plain_kernel, monkeypatch, limit, value, reason):
    monkeypatch.setattr(replay, limit, value)
    if limit == "MOST_PARTS":  # several splits of a few keys: parts that a wave of one has no room for
        monkeypatch.setattr("rranker.engine.attention.triton_metadata.SPLIT", 1)
    lm = tiny_model("llama")
    engine, eager = engine_of(lm, StandIn()), engine_of(lm)
    sizes = (24, 24, 24)
    assert [x.order for x in outcomes(engine, sizes)] == [x.order for x in outcomes(eager, sizes)]
    assert engine.runner.replays.counts[reason]
    assert not engine.runner.replays.counts["replayed"]


def test_a_window_that_cuts_and_layers_of_several_kinds_are_not_recorded(plain_kernel):
    lm = tiny_model("mistral", sliding_window=8)
    engine = engine_of(lm, StandIn())
    outcomes(engine)
    assert engine.runner.replays.counts["cut by a window"]
    assert not engine.runner.replays.counts["recorded"]
    engine = engine_of(tiny_model("llama"), StandIn())
    engine.runner.backend.kinds.update({(1, 1, 16), (2, 1, 16)})
    outcomes(engine)
    assert engine.runner.replays.counts["no layers, or layers of several kinds"]


def test_it_is_off_unless_asked_for_where_it_can_be(monkeypatch):
    lm = tiny_model("llama")
    monkeypatch.delenv(replay.SWITCH, raising=False)
    assert not replay.asked_for()
    monkeypatch.setenv(replay.SWITCH, "1")
    assert replay.asked_for()
    assert engine_of(lm).runner.replays is None  # no CUDA
    monkeypatch.setenv(replay.SWITCH, "yes")
    with pytest.raises(ValueError, match="RRANKER_CUDA_GRAPHS is 'yes', and must be 1"):
        engine_of(lm)


@pytest.mark.parametrize("attend", [attention_reference, kernel.attention])
@pytest.mark.parametrize("seed", range(3))
def test_padded_work_gives_the_rows_what_the_work_gives_and_zeros_to_padding(monkeypatch, attend, seed):
    """Guessed questions over several splits beside a lone one; padding is four times the work."""
    if attend is kernel.attention and (seed or torch.cuda.is_available()):
        pytest.skip("once through the interpreter")
    monkeypatch.setattr(kernel, "attention", attend)
    rng = np.random.default_rng(seed)
    chunks = [(0, 2, sorted(rng.choice(6, 3, replace=False).tolist())) for _ in range(5)]
    case = problem(
        [*chunks, (1, 3, [6])], [70, 3, 40, 200, 130, 90, 17], size=16, seed=seed, bidirectional=seed == 2
    )
    shape = case.groups, 2, 16
    monkeypatch.setattr("rranker.engine.attention.triton_metadata.SPLIT", 2)
    work = attention_metadata(case.plan, *shape, most_parts=1000)
    assert len(work.waves) == 1
    assert work.most_parts > 0
    rows, items, cells, runs = 64, 4 * len(work.tiles), 4 * len(work.cell_slots), 4 * len(work.run_words)
    arrays = [
        torch.from_numpy(np.pad(array, (0, size - len(array))))
        for array, size in zip(padded_work(work, cells), sizes_of(rows, items, cells, runs), strict=True)
    ]
    spoiled, store = case.spoiled(), KVCache(1, case.stored_key.shape[1])
    dtype = torch.float64 if attend is attention_reference else torch.float32
    store.write(0, slice(0, store.slots), spoiled.stored_key.to(dtype), spoiled.stored_value.to(dtype))
    step = ReplayedAttention(arrays, (items, cells), shape, store, 0.0)

    def padded(x):
        return torch.cat([x, x.new_full((len(x), rows - x.shape[1], x.shape[2]), torch.nan)], 1)[None].to(
            dtype
        )

    own = map(padded, (case.query, case.key, case.value))
    out = step(0, *own, scaling=case.scaling, window=None)[0]
    assert relative_error(out[: case.plan.rows], dense_attention(case)) < 1e-5
    assert not out[case.plan.rows :].any()
