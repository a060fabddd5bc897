"""The attention kernel against float64 on random plans, for every head layout and size; more on demand.

`RRANKER_PLANS=100 pytest tests/kernels/test_random_plans.py` plays a hundred plans on each of the 48.
"""

from __future__ import annotations

import os

import pytest
import torch

from rranker.engine.attention import triton_metadata
from rranker.engine.attention.triton_metadata import attention_metadata
from rranker.kernels.attention.kernel import attention
from rranker.kernels.launch import pick_attention
from tests.support.kernel_problems import DEVICE, TOLERANCE, dense_attention, relative_error
from tests.support.random_plans import HEADS, SIZES, random_plan

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("exact_products")]

PLANS = int(os.environ.get("RRANKER_PLANS", "1"))
DTYPES = tuple(TOLERANCE)


def work_of(plan, case, dtype, monkeypatch):
    monkeypatch.setattr(triton_metadata, "SPLIT", plan.split)
    monkeypatch.setattr(triton_metadata, "TILES", plan.tiles)
    rows = pick_attention(case.query.shape[-1], dtype, "sm_90").block_m
    return attention_metadata(case.plan, case.groups, len(case.key), rows)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("heads", HEADS)
def test_random_plans_equal_float64(heads, size, monkeypatch):
    first = HEADS.index(heads) * len(SIZES) + SIZES.index(size)  # another one for each of the 48
    for number in range(first, first + PLANS):
        plan, dtype = random_plan(number % 100), DTYPES[(number + number // len(SIZES)) % 3]
        case = plan.on(heads, size)
        work = work_of(plan, case, dtype, monkeypatch).to(DEVICE)
        out = torch.full((case.plan.rows, heads[0], size), torch.nan, dtype=dtype, device=DEVICE)
        attention(*case.tensors(dtype), work, work.key_words(), out, case.scaling, plan.bias)
        error = relative_error(out, dense_attention(case.unspoiled(), plan.bias))
        assert error < TOLERANCE[dtype], (number % 100, dtype)


def test_the_plans_are_of_every_kind(monkeypatch):
    plans = [random_plan(seed) for seed in range(100)]
    works = [work_of(plan, plan.on((4, 2), 16), torch.float32, monkeypatch) for plan in plans]
    assert sum(work.most_parts > 0 for work in works) > 40  # of several splits
    assert sum(plan.bidirectional for plan in plans) > 15
    assert sum(plan.bias != 0 for plan in plans) > 30
    sets = [[plan.lengths[segment] for segment in seen] for plan in plans for _, _, seen in plan.chunks]
    assert sum(not lengths for lengths in sets) > 40  # chunks that see nothing stored
    assert sum(bool(lengths) and not any(lengths) for lengths in sets) > 3  # or only what is empty
    assert all(plan.on((1, 1), 12).stored_key.isnan().any() for plan in plans)
