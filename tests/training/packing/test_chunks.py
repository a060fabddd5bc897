"""Differentiable attention over a plan's chunks against the dense mask that defines it, values and gradients."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rranker.engine.attention.reference import dense_mask, stored_keys
from rranker.engine.batch import Batch, BatchBuilder
from rranker.engine.kv.cache import KVCache
from rranker.engine.sessions import BlockQueryState, CausalQueryState
from rranker.training.packing import chunks as module
from rranker.training.packing.chunks import build_chunks, chunk_attention
from tests.support.engine_steps import problem, subsets_of


def plan_of(mode: str, seed: int, context_bias: float = 0.0) -> Batch:
    """Three queries of different sizes, several questions each, in one step."""
    builder, store, rng = (
        BatchBuilder(bidirectional=mode == "encoder", context_bias=context_bias),
        KVCache(0, 10_000),
        np.random.default_rng(seed),
    )
    identifiers = SimpleNamespace(needs_states=False, matches=None, pooling="last")
    for query_index in range(3):
        n = int(rng.integers(2, 8))
        segments, subsets = (
            problem(int(rng.integers(1000)), n=n, prefix=int(rng.integers(1, 30))),
            subsets_of(rng, n, 3),
        )
        if mode != "causal":
            session = BlockQueryState(segments, "exclude", store, identifiers)
        else:
            session = CausalQueryState(segments, "exclude", store, identifiers, branches=len(subsets))
        assert session.open()
        session.plan(builder, query_index, subsets)
    return builder.build()


def added(plan: Batch, window: int | None) -> torch.Tensor:
    """[T, T], to the scores: the plan's own definition, its stored keys put back to the rows that write them."""
    slots, rows = stored_keys(plan)[0], np.full(plan.write_slots.max() + 1, -1)
    rows[plan.write_slots[plan.write_slots >= 0]] = np.flatnonzero(plan.write_slots >= 0)
    mask = dense_mask(plan, window)
    whole = np.where(mask[:, len(slots) :], 0.0, -np.inf)
    for column, row in enumerate(rows[slots]):
        whole[mask[:, column], row] = plan.context_bias
    return torch.from_numpy(whole)


@pytest.mark.parametrize("most", [1 << 22, 1])
@pytest.mark.parametrize("window", [None, 7])
@pytest.mark.parametrize(
    ("mode", "context_bias"),
    [("block", 0.0), ("block", -2.0), ("causal", 0.0), ("encoder", 0.0), ("encoder", -2.0)],
)
def test_values_and_gradients_equal_a_dense_mask(
    mode: str, context_bias: float, window: int | None, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_SCORES", most)
    for seed in range(4):
        plan = plan_of(mode, seed, context_bias)
        chunks = build_chunks(plan, torch.device("cpu"))
        torch.manual_seed(seed)
        query, key, value, weight = (
            torch.randn(1, h, plan.rows, 8, dtype=torch.float64) for h in (4, 2, 2, 4)
        )
        parts = [x.requires_grad_() for x in (query, key, value)]
        found, _ = chunk_attention(
            torch.nn.Identity(), *parts, None, scaling=0.3, chunks=chunks, sliding_window=window
        )
        got = torch.autograd.grad((found.transpose(1, 2) * weight).sum(), parts)
        k, v = (x.repeat_interleave(2, dim=1) for x in (key, value))
        scores = query @ k.transpose(-1, -2) * 0.3 + added(plan, window)
        expected = scores.softmax(-1) @ v
        wanted = torch.autograd.grad((expected * weight).sum(), parts)
        torch.testing.assert_close(found.transpose(1, 2), expected)
        for one, other in zip(got, wanted, strict=True):
            torch.testing.assert_close(one, other)
        assert (len(chunks.groups) == plan.chunks) is (most == 1)


@pytest.mark.parametrize("mode", ["block", "causal"])
def test_bfloat16_comes_as_near_as_its_rounding_lets_it(mode: str) -> None:
    plan = plan_of(mode, 1)
    chunks = build_chunks(plan, torch.device("cpu"))
    torch.manual_seed(0)
    parts = [torch.randn(1, h, plan.rows, 16, dtype=torch.bfloat16) for h in (4, 2, 2)]
    weight = torch.randn(1, plan.rows, 4, 16)
    results = []
    for dtype in (torch.bfloat16, torch.float64):
        given = [x.to(dtype).requires_grad_() for x in parts]
        found, _ = chunk_attention(torch.nn.Identity(), *given, None, scaling=0.25, chunks=chunks)
        assert found.dtype == dtype
        results.append([found, *torch.autograd.grad((found.double() * weight).sum(), given)])
    for narrow, wide in zip(*results, strict=True):
        assert float((narrow.detach().double() - wide.detach()).norm() / wide.detach().norm()) < 0.02


def test_no_group_pads_by_more_than_two_in_a_direction() -> None:
    for seed in range(10):
        plan = plan_of("causal", seed)
        lengths = np.diff(plan.row_offsets)
        at = {int(row): chunk for chunk, row in enumerate(plan.row_offsets[:-1])}
        for group in build_chunks(plan, torch.device("cpu")).groups:
            inside = [at[int(row)] for row in group.rows[:, 0]]
            assert group.rows.shape[1] < 2 * min(lengths[inside])
            assert group.keys.shape[1] - group.rows.shape[1] <= 2 * int(group.seen.min())
