"""Encoders in block attention against whole forwards under dense masks, for several families, in fp32."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as t

from rranker.engine import runner as runner_module
from rranker.engine import self_check as self_check_module
from rranker.engine.attention import attention_backend
from rranker.engine.batch import BatchBuilder
from rranker.engine.engine import Engine
from rranker.engine.errors import UnsupportedModelError
from rranker.engine.readout import LateInteraction, PointerReadout, Pooling
from rranker.engine.readout.gather import read
from rranker.engine.requests import EngineRequest
from rranker.engine.runner import ModelRunner
from rranker.engine.self_check import self_check as check_model
from rranker.engine.sessions import BlockQueryState
from rranker.methods import Elimination, Greedy
from rranker.prompts import Segments
from tests.support.encoders import ENCODERS, SIZE, dense_states, random_encoder, tiny_encoder
from tests.support.engine_steps import close, problem
from tests.support.kernel_problems import DEVICE, device_of

FIRST = (0, 1, 2, 3, 4, 5)
SUBSETS = [(0, 1, 2, 4, 5), (1, 5), (2,), (0, 3)]


def pointer(
    size: int = 48,
    seed: int = 0,
    scale: float | None = 3.0,
    *,
    late: bool = False,
    pooling: Pooling | None = None,
    backend: str = "cpu",
) -> PointerReadout:
    """A random head; with a scale, of mean states unless `pooling` is given; with late interaction, if asked for."""
    torch.manual_seed(seed)
    head = torch.randn(size), torch.randn(size, size) / 7, None if scale is None else torch.tensor([scale])
    on = device_of(backend)
    interaction = LateInteraction(
        *(x.to(on) for x in (torch.tensor([9.0]), torch.randn(size), torch.tensor([0.3])))
    )
    parts = (x if x is None else x.to(on) for x in head)
    return PointerReadout(*parts, interaction if late else None, pooling)


def asked(run: ModelRunner, session: BlockQueryState, readout: PointerReadout, subsets) -> list[np.ndarray]:
    builder = BatchBuilder(bidirectional=run.bidirectional)
    session.plan(builder, 0, subsets)
    hidden = run.hidden(builder.build())
    return read(readout, hidden, [session.readout_request(hidden)], kernels=False)[0]


def opened(run: ModelRunner, segments: Segments, readout: PointerReadout) -> BlockQueryState:
    session = BlockQueryState(segments, "select", run.kv_cache, readout)
    assert session.open()
    return session


def expected_logits(lm, segments, subset, readout: PointerReadout) -> np.ndarray:
    """The formula of `pointer_fitness`, candidate by candidate, from a dense forward in float64."""
    state_of = {"last": lambda x: x[-1], "mean": lambda x: x.mean(0), "cls": lambda x: x[0]}[readout.pooling]
    prefix, *candidates, suffix = (x.double() for x in dense_states(lm, segments, subset))
    w, bilinear = readout._w.double(), readout._bilinear.double()
    found = []
    for states in candidates:
        state = state_of(states)
        score = (w @ state + (bilinear @ suffix[-1]) @ state) / len(state) ** 0.5
        if readout._scale is not None:
            score = score + float(readout._scale) * torch.cosine_similarity(state_of(prefix), state, dim=0)
        if readout.late is not None:
            late = readout.late
            query = state_of(prefix)
            wanted = late.gate.double() @ query / query.norm() + late.gate_bias
            words = prefix[1:-1] if len(prefix) > 2 else prefix
            texts = states[1:-1] if len(states) > 2 else torch.zeros_like(states[:1])  # like no word
            alike = torch.cosine_similarity(words[:, None], texts[None], dim=-1).max(1).values
            score = score + late.weight * wanted.sigmoid() * alike.clamp_min(0).mean()
        found.append(float(score))
    return np.array(found)


def check(lm, backend: str, readout: PointerReadout, seeds: range) -> None:
    run = ModelRunner(lm, attention_backend(backend), 4096)
    for seed in seeds:
        segments = problem(seed, suffix=1)
        session = opened(run, segments, readout)
        for subsets in ([FIRST], SUBSETS):  # the second step finds everything stored
            for subset, found in zip(subsets, asked(run, session, readout, subsets), strict=True):
                close(found, expected_logits(lm, segments, subset, readout))
        session.close()


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("name", ENCODERS)
def test_a_step_equals_a_dense_mask(name, backend):
    lm = tiny_encoder(name)
    check(lm, backend, pointer(), range(3))
    check(lm, backend, pointer(scale=None), range(1))
    check(lm, backend, pointer(late=True), range(2))
    check(lm, backend, pointer(pooling="cls"), range(1))
    check(lm, backend, pointer(pooling="cls", late=True), range(1))


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert"])
def test_the_triton_kernels_equal_a_dense_mask(name):
    check(tiny_encoder(name).to(DEVICE), "triton", pointer(backend="triton"), range(1))


@pytest.mark.parametrize("backend", ["cpu", pytest.param("triton", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("name", ENCODERS)
def test_the_check_at_load_accepts_what_is_exact(name, backend):
    lm = tiny_encoder(name).to(device_of(backend))
    assert check_model(lm, ModelRunner(lm, attention_backend(backend), 256), "block") < 1e-4


@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert"])
def test_one_text_alone_is_what_the_model_itself_makes_of_it(name):
    lm = tiny_encoder(name)
    ids = torch.arange(5, 45)
    with torch.no_grad():
        expected = lm(input_ids=ids[None]).last_hidden_state[0]
    run = ModelRunner(lm, attention_backend("cpu"), 64)
    builder = BatchBuilder(bidirectional=True)
    builder.chunk(ids.numpy(), 0, np.zeros(0, np.int64), 0)
    for row in range(len(ids)):
        builder.read(row)
    torch.testing.assert_close(run.hidden(builder.build()), expected, atol=2e-5, rtol=1e-5)


def test_positions_that_begin_elsewhere_do_not_pass_the_check(monkeypatch):
    for module in (runner_module, self_check_module):
        monkeypatch.setattr(module, "position_offset", lambda lm: 0)
    lm = tiny_encoder("roberta")
    with pytest.raises(UnsupportedModelError, match="on one text alone"):
        check_model(lm, ModelRunner(lm, attention_backend("cpu"), 256), "block")


def test_causal_chunks_do_not_pass_the_check(monkeypatch):
    monkeypatch.setattr(self_check_module, "BatchBuilder", lambda **_: BatchBuilder())
    lm = tiny_encoder("bert")
    with pytest.raises(UnsupportedModelError, match="does not compute in the engine"):
        check_model(lm, ModelRunner(lm, attention_backend("cpu"), 256), "block")


@pytest.mark.parametrize("backend", ["cpu", pytest.param("triton", marks=pytest.mark.gpu)])
def test_windows_to_both_sides_cut_texts_that_outgrow_them(backend):
    lm = tiny_encoder("modernbert", sliding_window=4).to(device_of(backend))
    readout, segments = pointer(backend=backend), problem(1, longest=20, prefix=40, suffix=1)
    found = []
    for name in (backend, "reference"):
        run = ModelRunner(lm, attention_backend(name), 4096)
        assert run.windows == (None, 5, 5)
        found.append(asked(run, opened(run, segments, readout), readout, [FIRST, (0, 3)]))
    for one, other in zip(*found, strict=True):
        close(one, other)
    wide = ModelRunner(
        tiny_encoder("modernbert").to(device_of(backend)), attention_backend("reference"), 4096
    )
    uncut = asked(wide, opened(wide, segments, readout), readout, [FIRST])
    assert np.abs(uncut[0] - found[0][0]).max() > 0.01


def test_eliminated_is_as_never_there():
    lm, readout, kept = tiny_encoder("bert"), pointer(), (0, 2, 5)
    run, full = ModelRunner(lm, attention_backend("cpu"), 4096), problem(4, suffix=1)
    session = opened(run, full, readout)
    asked(run, session, readout, [FIRST])
    left = Segments(full.prefix, tuple(full.candidates[i] for i in kept), full.suffix)
    fresh = asked(run, opened(run, left, readout), readout, [(0, 1, 2)])[0]
    close(asked(run, session, readout, [kept])[0], fresh)


def ranked(lm, many, speculate: bool) -> list[tuple[int, ...]]:
    engine = Engine(
        lm, pointer(), attention_mode="block", kv_cache_tokens=2048, max_batch_tokens=256, speculate=speculate
    )
    methods = [Greedy(Elimination(len(s.candidates)), nested=False) for s in many]
    handles = list(engine.run(EngineRequest(*pair) for pair in zip(many, methods, strict=True)))
    assert [handle.status for handle in handles] == ["finished"] * len(many)
    return [tuple(method.outcome().order) for method in methods]


def test_speculated_equals_sequential_and_batched_equals_alone():
    lm = tiny_encoder("bert")
    many = [problem(seed, n=2 + seed, suffix=1) for seed in range(8)]
    together = ranked(lm, many, speculate=True)
    assert together == ranked(lm, many, speculate=False)
    assert together == [ranked(lm, [segments], speculate=True)[0] for segments in many]
    assert len({order[0] for order in together}) > 2


def test_the_later_rounds_know_who_is_left():
    lm, readout = tiny_encoder("bert"), pointer()
    run, segments = ModelRunner(lm, attention_backend("cpu"), 4096), problem(0, suffix=1)
    two, all_of_them = asked(run, opened(run, segments, readout), readout, [(0, 1), FIRST])
    assert abs((two[0] - two[1]) - (all_of_them[0] - all_of_them[1])) > 1e-3


REFUSED = {
    "MPNetModel": lambda: t.MPNetConfig(**SIZE),
    "DebertaV2Model": lambda: t.DebertaV2Config(**SIZE),
    "FunnelModel": lambda: t.FunnelConfig(
        vocab_size=SIZE["vocab_size"],
        block_sizes=[1, 1],
        d_model=48,
        n_head=4,
        d_head=12,
        d_inner=64,
        architectures=["FunnelModel"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_encoder_with_attention_of_its_own_is_refused_by_name(name):
    lm = random_encoder(REFUSED[name]())
    with pytest.raises(UnsupportedModelError, match=f"{name} computes attention in code of its own"):
        check_model(lm, ModelRunner(lm, attention_backend("cpu"), 256), "block")


def test_causal_attention_is_refused():
    with pytest.raises(ValueError, match=r"BertModel is an encoder.*attention_mode='block' only"):
        Engine(tiny_encoder("bert"), pointer(), attention_mode="causal")


def test_verdicts_are_read_by_the_readout_that_the_engine_has_now():
    lm, (before, after) = tiny_encoder("bert"), (pointer(seed=seed) for seed in (0, 1))
    segments = problem(3, suffix=1)

    def order(engine: Engine) -> tuple[int, ...]:
        method = Greedy(Elimination(len(segments.candidates)))
        (done,) = engine.run([EngineRequest(segments, method)])
        assert done.error is None
        return method.outcome().order

    engine = Engine(lm, before, attention_mode="block", kv_cache_tokens=400)
    first = order(engine)
    engine.readout = after
    expected = order(Engine(lm, after, attention_mode="block", kv_cache_tokens=400))
    assert order(engine) == expected != first
