"""The prefill and decode kernels against their float64 references, on awkward sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rranker.engine.attention import triton_metadata
from rranker.engine.attention.triton_metadata import SPLIT, attention_metadata
from rranker.kernels.attention.decode import decode
from rranker.kernels.attention.prefill import prefill
from rranker.kernels.attention.reference import decode_reference, prefill_reference
from rranker.kernels.launch import pick_attention
from tests.support.kernel_problems import DEVICE, TOLERANCE, Problem, problem, relative_error

pytestmark = pytest.mark.gpu

HEADS = [(1, 1), (6, 3), (6, 2), (8, 2), (8, 1)]


def both(
    case: Problem, dtype: torch.dtype, tiles: tuple[int, int] = (128, 64), bias: float = 0.0
) -> tuple[float, int, int]:
    """Error of the kernels' joint output; and how many tiles each had. Rows left unwritten would be NaN."""
    work = attention_metadata(case.plan, case.groups, *tiles, DEVICE)
    heads, rows, size = case.query.shape
    out = torch.full((rows, heads, size), torch.nan, dtype=dtype, device=DEVICE)
    expected = torch.full((rows, heads, size), torch.nan, dtype=torch.float64, device=DEVICE)
    inputs, exact = case.tensors(dtype), case.tensors(torch.float64)
    if work.prefill is not None:
        prefill(*inputs, work.prefill, out, case.scaling, bias)
        prefill_reference(*exact, work.prefill, expected, case.scaling, bias)
    if work.decode is not None:
        decode(*inputs, work.decode, out, case.scaling, bias)
        decode_reference(*exact, work.decode, expected, case.scaling, bias)
    tiles_of = [0 if part is None else len(part.rows) for part in (work.prefill, work.decode)]
    return relative_error(out, expected), tiles_of[0], tiles_of[1]


def tiles_for(size: int, dtype: torch.dtype) -> tuple[int, int]:
    return tuple(pick_attention(kernel, size, dtype, "sm_90").block_m for kernel in ("prefill", "decode"))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("size", [12, 64, 80, 128])
@pytest.mark.parametrize("rows", [1, 63, 129])
def test_a_causal_chunk_over_stored_segments(rows, size, dtype):
    # stored: nothing, one token, an empty segment, ragged ends
    for seen in ([], [0], [0, 1, 2, 3]):
        case = problem([(0, rows, seen)], [1, 0, 70, 33], heads=(4, 2), size=size, seed=rows)
        error, _, _ = both(case, dtype, tiles_for(size, dtype))
        assert error < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_causal_tail_and_long_nested_suffixes_are_prefilled(dtype):
    # a stack of prefix and candidates in one extent, its new tail, and suffixes over shorter and shorter stacks
    chunks = [(0, 70, [0, 1]), (0, 65, [0, 1, 2]), (0, 65, [0, 1]), (0, 65, [0])]
    case = problem(chunks, [100, 1, 30], heads=(4, 2))
    error, _, decodes = both(case, dtype, tiles_for(64, dtype))
    assert error < TOLERANCE[dtype]
    assert decodes == 0


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("rows", [1, 63, 129])
def test_an_encoders_chunks_see_themselves_wholly(rows, dtype):
    # alone, over a prefix that chunks of other lengths share, and as questions over subsets
    chunks = [
        (0, rows, []),
        *((0, length, [0]) for length in (5, rows, 2, 70)),
        (0, 3, [0, 1, 2]),
        (0, 2, [0, 2]),
    ]
    case = problem(chunks, [70, 33, 600], heads=(4, 2), seed=rows, bidirectional=True)
    error, prefills, decodes = both(case, dtype, tiles_for(64, dtype))
    assert error < TOLERANCE[dtype]
    assert prefills > 0
    assert decodes > 0
    causal = problem(chunks, [70, 33, 600], heads=(4, 2), seed=rows)
    assert both_references_differ(case, causal)


def both_references_differ(one: Problem, other: Problem) -> bool:
    found = []
    for case in (one, other):
        work = attention_metadata(case.plan, case.groups, 128, 64, DEVICE)
        out = torch.zeros(case.plan.rows, 4, 64, dtype=torch.float64, device=DEVICE)
        prefill_reference(*case.tensors(torch.float64), work.prefill, out, case.scaling)
        found.append(out)
    return relative_error(*found) > 0.1


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("bias", [-2.0, 3.0, -1e4])
def test_a_bias_on_stored_keys(bias, dtype):
    # candidates over a prefix; a question over several splits, and one that sees nothing stored
    chunks = [
        (0, 5, []),
        *((0, rows, [0]) for rows in (5, 33, 70)),
        (0, 3, [0, 1, 2]),
        (0, 2, [2]),
        (0, 1, []),
    ]
    case = problem(chunks, [70, 33, 600], heads=(4, 2), bidirectional=True)
    error, prefills, decodes = both(case, dtype, tiles_for(64, dtype), bias)
    assert error < TOLERANCE[dtype]
    assert prefills > 0
    assert decodes > 0


def test_the_largest_head():
    case = problem([(0, 9, []), (0, 33, [0]), (0, 2, [0, 1])], [70, 5], heads=(2, 1), size=256)
    for dtype in TOLERANCE:
        error, _, _ = both(case, dtype, tiles_for(256, dtype))
        assert error < TOLERANCE[dtype]


@pytest.mark.parametrize("heads", HEADS)
def test_ragged_candidates_of_several_queries_share_their_prefixes(heads):
    rng = np.random.default_rng(0)
    lengths = [65, 1]
    chunks = [
        (query_index, int(rows), [query_index])
        for query_index in range(2)
        for rows in rng.integers(1, 30, size=5)
    ]
    case = problem(chunks, lengths, heads=heads)
    for dtype in TOLERANCE:
        error, prefills, _ = both(case, dtype, tiles_for(64, dtype))
        assert error < TOLERANCE[dtype]
        assert prefills > 0


@pytest.mark.parametrize("heads", HEADS)
def test_suffix_copies_see_any_subsets(heads):
    rng = np.random.default_rng(1)
    lengths = [90, *rng.integers(0, 30, size=12).tolist()]
    chunks = []
    for query_index in range(2):
        for copy in range(9):
            alive = [0] if copy == 0 else [0, *(1 + rng.permutation(12)[: rng.integers(1, 12)]).tolist()]
            chunks.append((query_index, int(rng.integers(1, 5)), alive))
    case = problem(chunks, lengths, heads=heads)
    for dtype in TOLERANCE:
        error, _, decodes = both(case, dtype, tiles_for(64, dtype))
        assert error < TOLERANCE[dtype]
        assert decodes > 0


def test_one_row_of_one_candidate_over_several_splits():
    case = problem([(0, 1, [0, 1])], [3 * SPLIT - 1, 2], heads=(8, 2))
    error, prefills, decodes = both(case, torch.float32, (32, 32))
    assert error < TOLERANCE[torch.float32]
    assert (prefills, decodes) == (0, 1)


def test_a_split_that_some_rows_of_the_tile_see_nothing_of():
    lengths = [SPLIT, SPLIT, 5]
    case = problem([(0, 2, [0]), (0, 1, [1, 2]), (0, 1, [2]), (0, 3, [])], lengths, heads=(4, 2))
    for dtype in TOLERANCE:
        error, _, decodes = both(case, dtype, tiles_for(64, dtype))
        assert error < TOLERANCE[dtype]
        assert decodes == 1


def test_a_query_of_many_tiles_splits_into_longer_parts(monkeypatch):
    monkeypatch.setattr(triton_metadata, "SPLIT", 64)
    # 40 rows of two heads in tiles of 4 packed rows: 20 tiles, each over 192 keys
    case = problem([(0, 40, [0])], [192], heads=(2, 1), size=16)
    error, prefills, decodes = both(case, torch.float32, (4, 4))
    assert error < TOLERANCE[torch.float32]
    assert (prefills, decodes) == (0, 20)
    work = attention_metadata(case.plan, 2, 4, 4, DEVICE).decode
    assert (work.key_ends - work.key_begins).tolist() == [128, 64] * 20


def test_thirty_two_copies_fill_every_bit_of_a_word():
    lengths = [7] * 33
    chunks = [(0, 1, [copy, 32]) for copy in range(40)[:33]]
    case = problem(chunks, lengths, heads=(1, 1))
    error, _, decodes = both(case, torch.float32, (64, 64))
    assert error < TOLERANCE[torch.float32]
    assert decodes == 2


def test_a_query_alone_equals_the_query_in_a_batch_bit_for_bit():
    lengths = [70, 20, 30, 600]
    mine = [(0, 40, []), (0, 25, [0]), (0, 30, [0]), (0, 3, [0, 1]), (0, 3, [0, 1, 2])]
    other = [(1, 17, [3]), (1, 2, [3])]
    alone = problem(mine, lengths, seed=3)
    batch = problem(mine + other, lengths, seed=3)
    found = []
    for case in (alone, batch):
        rows = slice(0, alone.plan.rows)
        work = attention_metadata(case.plan, case.groups, 32, 32, DEVICE)
        inputs = [x.clone() for x in batch.tensors(torch.float32)]
        inputs[:3] = [x[:, : case.plan.rows] for x in inputs[:3]]
        out = torch.zeros(case.plan.rows, 4, 64, device=DEVICE)
        prefill(*inputs, work.prefill, out, case.scaling)
        decode(*inputs, work.decode, out, case.scaling)
        found.append(out[rows])
    assert torch.equal(*found)


def test_work_cut_for_larger_tiles_is_refused():
    case = problem([(0, 40, [0]), (0, 9, [0])], [700], heads=(4, 2))
    work, out = attention_metadata(case.plan, 2, 512, 512, DEVICE), torch.zeros(49, 4, 64, device=DEVICE)
    with pytest.raises(ValueError, match="98 packed rows"):
        decode(*case.tensors(torch.float32), work.decode, out, case.scaling)
    case = problem([(0, 40, [0]), (0, 9, [0])], [7], heads=(4, 2))
    work = attention_metadata(case.plan, 2, 64, 64, DEVICE)
    with pytest.raises(ValueError, match="64 packed rows"):
        prefill(*case.tensors(torch.float32), work.prefill, out, case.scaling)


def test_too_many_grouped_heads_and_too_large_heads_are_refused():
    case = problem([(0, 3, [])], [], heads=(66, 1))
    with pytest.raises(ValueError, match="66 query heads"):
        attention_metadata(case.plan, 66, 64, 64, DEVICE)
    with pytest.raises(ValueError, match="256"):
        pick_attention("prefill", 288, torch.bfloat16, "sm_90")
