"""A bias on what is outside a token's own segment: the engine against dense masks, and what it must not touch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rranker.engine.attention import attention_backend
from rranker.engine.attention.reference import stored_keys
from rranker.engine.attention.varlen import FlashVarlen, VarlenAttention
from rranker.engine.batch import Batch, BatchBuilder
from rranker.engine.engine import Engine
from rranker.engine.errors import UnsupportedModelError
from rranker.engine.readout import IdentifierReadout
from rranker.engine.requests import EngineRequest
from rranker.engine.runner import ModelRunner
from rranker.engine.self_check import dense_bias, dense_prompt, self_check
from rranker.engine.sessions import BlockQueryState
from rranker.methods import Elimination, Greedy
from rranker.prompts import Segments
from tests.engine.test_encoders import FIRST, SUBSETS, pointer
from tests.engine.test_windows import SLOTS, WINDOWS, attention, random_plan
from tests.support.architectures import tiny_model
from tests.support.encoders import dense_states, tiny_encoder
from tests.support.engine_steps import close, problem
from tests.support.kernel_problems import device_of
from tests.support.varlen_references import varlen_reference

BACKENDS = ["reference", "cpu", pytest.param("triton", marks=pytest.mark.gpu)]


def states(lm, segments: Segments, subsets, bias: float, backend: str = "cpu") -> list[list[torch.Tensor]]:
    """Of one step: [tokens, D] of the prefix and of each candidate, then the last suffix state of each subset."""
    lm = lm.to(device_of(backend))
    runner = ModelRunner(lm, attention_backend(backend), 4096, bias)
    builder = BatchBuilder(bidirectional=runner.bidirectional, context_bias=bias)
    session = BlockQueryState(segments, "select", runner.kv_cache, pointer(backend=backend))
    assert session.open()
    session.plan(builder, 0, subsets)  # reads every row of the prefix and of the candidates
    hidden = runner.hidden(builder.build()).cpu()
    return list(hidden.split([len(segments.prefix), *map(len, segments.candidates), *[1] * len(subsets)]))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bias", [-2.0, 0.7])
def test_every_state_equals_that_under_a_dense_mask_with_the_bias(backend, bias):
    lm, segments = tiny_encoder("bert"), problem(1, suffix=1)
    prefix, *found = states(lm, segments, [FIRST, *SUBSETS], bias, backend)
    expected = [state.cpu() for state in dense_states(lm, segments, FIRST, bias)]
    for one, other in zip([prefix, *found[:6]], expected[:-1], strict=True):
        close(one.numpy(), other.numpy())
    for subset, one in zip([FIRST, *SUBSETS], found[6:], strict=True):
        close(one.numpy(), dense_states(lm, segments, subset, bias)[-1].cpu().numpy())
    plain = states(lm, segments, [FIRST], 0.0, backend)
    assert torch.equal(prefix, plain[0])  # there is nothing outside of a prefix
    assert all((one - other).abs().max() > 1e-3 for one, other in zip(found[:7], plain[1:], strict=True))


def test_the_dense_mask_says_own_or_not_token_by_token():
    segments = Segments((1, 2), ((3,), (4, 5)), (6, 7))
    mask = dense_prompt(segments, (0, 1), "block", bidirectional=True)[2]
    added = dense_bias(segments, (0, 1), mask, -2.0, torch.float32)
    least = torch.finfo(torch.float32).min
    owner = "ppabbss"
    for row, mine in enumerate(owner):
        for key, theirs in enumerate(owner):
            sees = mine == theirs or theirs == "p" or mine == "s"
            sees = sees and not (mine == "p" and theirs != "p")
            assert added[row, key] == (0.0 if mine == theirs else -2.0 if sees else least)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_very_negative_bias_leaves_a_candidate_alone(backend):
    lm, segments = tiny_encoder("bert"), problem(2, suffix=1)
    found = states(lm, segments, [FIRST], -1e4, backend)
    lm.set_attn_implementation("eager")
    with torch.no_grad():
        for ids, one in zip((segments.prefix, *segments.candidates), found, strict=False):
            alone = lm(input_ids=torch.tensor(ids)[None].to(lm.device)).last_hidden_state[0]
            close(one.numpy(), alone.cpu().numpy())


def orders(lm, many, bias: float) -> list[tuple[int, ...]]:
    engine = Engine(
        lm, pointer(), attention_mode="block", context_bias=bias, kv_cache_tokens=2048, max_batch_tokens=256
    )
    methods = [Greedy(Elimination(len(s.candidates)), nested=False) for s in many]
    handles = list(engine.run(EngineRequest(*pair) for pair in zip(many, methods, strict=True)))
    assert [handle.error for handle in handles] == [None] * len(many)
    return [tuple(method.outcome().order) for method in methods]


def test_a_batch_ranks_as_each_query_alone():
    lm, many = tiny_encoder("bert"), [problem(seed, n=2 + seed, suffix=1) for seed in range(8)]
    together = orders(lm, many, -2.0)
    assert together == [orders(lm, [segments], -2.0)[0] for segments in many]
    assert together != orders(lm, many, 0.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_check_at_load_holds_the_bias_to_a_dense_mask(backend, monkeypatch):
    on = device_of(backend)
    for lm in (tiny_encoder("bert"), tiny_encoder("modernbert", sliding_window=4), tiny_model("qwen3")):
        lm.to(on)
        assert self_check(lm, ModelRunner(lm, attention_backend(backend), 256, -2.0), "block") < 1e-4
    monkeypatch.setattr(
        ModelRunner,
        "builder",
        lambda runner: BatchBuilder(bidirectional=runner.bidirectional, context_bias=-1.9),
    )
    lm = tiny_encoder("bert").to(on)
    with pytest.raises(UnsupportedModelError, match="in block attention"):
        self_check(lm, ModelRunner(lm, attention_backend(backend), 256, -2.0), "block")


def test_in_causal_attention_it_is_refused():
    lm = tiny_model("qwen3")
    with pytest.raises(
        ValueError, match=r"context_bias -2\.0.*only attention_mode='block' has such segments"
    ):
        Engine(lm, IdentifierReadout(lm), attention_mode="causal", context_bias=-2.0)


def loop_reference(plan: Batch, window: int | None) -> torch.Tensor:
    """As `attention` of a backend: each row's keys one by one, the bias on those of its visible segments."""

    def noise(seed: int, heads: int, count: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(count, heads, 16, generator=generator).transpose(0, 1).double()

    store = noise(0, 2, SLOTS), noise(1, 2, SLOTS)
    query, key, value = (noise(seed, heads, plan.rows) for seed, heads in ((2, 6), (3, 2), (4, 2)))
    slots, positions = stored_keys(plan)
    written = {slot: row for row, slot in enumerate(plan.write_slots.tolist()) if slot >= 0}
    for slot, row in written.items():
        store[0][:, slot], store[1][:, slot] = key[:, row], value[:, row]
    ends = np.cumsum(plan.segment_lengths)
    out = torch.zeros(plan.rows, 6, 16, dtype=torch.float64)
    for chunk in range(plan.chunks):
        seen = plan.visible[plan.visible_offsets[chunk] : plan.visible_offsets[chunk + 1]].tolist()
        columns = [c for s in seen for c in range(ends[s] - plan.segment_lengths[s], ends[s])]
        first, last = plan.row_offsets[chunk : chunk + 2].tolist()
        for row in range(first, last):
            own = range(first, int(plan.own_ends[row]))
            at = np.array([*positions[columns], *plan.positions[own.start : own.stop]])
            near = torch.tensor(
                [True] * len(at) if window is None else np.abs(at - plan.positions[row]) < window
            )
            keys, values = (
                torch.cat([a[:, slots[columns]], b[:, own.start : own.stop]], 1).repeat_interleave(3, 0)
                for a, b in zip(store, (key, value), strict=True)
            )
            scores = torch.einsum("hd,hnd->hn", query[:, row], keys) * 0.3
            scores[:, : len(columns)] += plan.context_bias
            out[row] = torch.einsum("hn,hnd->hd", scores[:, near].softmax(-1), values[:, near])
    return out


@pytest.mark.parametrize(
    ("backend", "dtype", "error"),
    [
        ("reference", torch.float32, 1e-5),
        ("cpu", torch.float32, 1e-5),
        ("flash", torch.float16, 4e-3),
        pytest.param("triton", torch.float32, 1e-5, marks=pytest.mark.gpu),
    ],
)
@pytest.mark.parametrize("window", [None, *WINDOWS[1::3]])
def test_backends_add_it_to_stored_keys_alone_within_any_window(backend, dtype, error, window):
    chosen = (
        VarlenAttention(FlashVarlen(varlen_reference)) if backend == "flash" else attention_backend(backend)
    )
    for seed in range(2 if backend == "triton" else 4):
        plan = random_plan(seed, context_bias=-2.0)
        found = attention(chosen, plan, window, dtype, device_of(backend))
        torch.testing.assert_close(found.double(), loop_reference(plan, window), atol=error, rtol=error)
