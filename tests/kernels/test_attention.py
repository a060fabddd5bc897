"""The attention kernel against float64, on awkward sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rranker.engine.attention import triton_metadata
from rranker.engine.attention.triton_metadata import attention_metadata
from rranker.kernels.attention.kernel import attention
from rranker.kernels.attention.reference import attention_reference
from rranker.kernels.attention.work import CELL, AttentionMetadata
from rranker.kernels.launch import pick_attention
from tests.support.kernel_problems import (
    DEVICE,
    TOLERANCE,
    Problem,
    dense_attention,
    problem,
    relative_error,
)

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("exact_products")]

SPLIT = triton_metadata.SPLIT * CELL
HALF = [torch.float16, torch.bfloat16]  # whose tiles are large: fp32's take the interpreter long


def work_of(case: Problem, dtype: torch.dtype, rows: int | None = None) -> AttentionMetadata:
    size = case.query.shape[-1]
    rows = pick_attention(size, dtype, "sm_90").block_m if rows is None else rows
    return attention_metadata(case.plan, case.groups, len(case.key), rows)


def computed(case: Problem, work: AttentionMetadata, dtype: torch.dtype, bias: float = 0.0) -> torch.Tensor:
    """What the kernel says; rows left unwritten would be NaN."""
    heads, rows, size = case.query.shape
    out = torch.full((rows, heads, size), torch.nan, dtype=dtype, device=DEVICE)
    work = work.to(DEVICE)
    attention(*case.tensors(dtype), work, work.key_words(), out, case.scaling, bias)
    return out


def error_of(
    case: Problem, dtype: torch.dtype, rows: int | None = None, bias: float = 0.0
) -> tuple[float, AttentionMetadata]:
    """Error of the kernel against a dense mask in float64, and the work it had."""
    work = work_of(case, dtype, rows)
    return relative_error(computed(case, work, dtype, bias), dense_attention(case, bias)), work


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("rows", "size"), [(1, 12), (1, 64), (63, 80), (63, 128), (129, 12)])
def test_a_causal_chunk_over_stored_segments(rows, size, dtype):
    # stored: nothing, one token, an empty segment, ragged ends
    for seen in ([], [0], [0, 1, 2, 3]):
        case = problem([(0, rows, seen)], [1, 0, 70, 33], heads=(4, 2), size=size, seed=rows)
        assert error_of(case, dtype)[0] < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", HALF)
def test_a_causal_tail_and_long_nested_suffixes(dtype):
    # a stack of prefix and candidates in one extent, its new tail, and suffixes over shorter and shorter stacks
    chunks = [(0, 70, [0, 1]), (0, 65, [0, 1, 2]), (0, 65, [0, 1]), (0, 65, [0])]
    case = problem(chunks, [100, 1, 30], heads=(4, 2))
    error, work = error_of(case, dtype)
    assert error < TOLERANCE[dtype]
    assert work.most_parts == 0  # few keys: each tile writes its own result


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("rows", [1, 129])
def test_an_encoders_chunks_see_themselves_wholly(rows, dtype):
    # alone, over a prefix that chunks of other lengths share, and as questions over subsets
    chunks = [
        (0, rows, []),
        *((0, length, [0]) for length in (5, rows, 2, 70)),
        (0, 3, [0, 1, 2]),
        (0, 2, [0, 2]),
    ]
    case = problem(chunks, [70, 33, 600], heads=(4, 2), seed=rows, bidirectional=True)
    error, work = error_of(case, dtype)
    assert error < TOLERANCE[dtype]
    assert work.most_parts > 0
    causal = problem(chunks, [70, 33, 600], heads=(4, 2), seed=rows)
    assert relative_error(dense_attention(case), dense_attention(causal)) > 0.1


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("bias", [3.0, -1e4])
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
    error, work = error_of(case, dtype, bias=bias)
    assert error < TOLERANCE[dtype]
    assert work.most_parts > 0


def test_the_largest_head():
    case = problem([(0, 9, []), (0, 33, [0]), (0, 2, [0, 1])], [70, 5], heads=(2, 1), size=256)
    for dtype in TOLERANCE:
        assert error_of(case, dtype)[0] < TOLERANCE[dtype]


@pytest.mark.parametrize("heads", [(1, 1), (6, 3)])
def test_ragged_candidates_of_several_queries_share_their_prefixes(heads):
    rng = np.random.default_rng(0)
    chunks = [
        (query_index, int(rows), [query_index])
        for query_index in range(2)
        for rows in rng.integers(1, 30, size=5)
    ]
    case = problem(chunks, [65, 1], heads=heads, size=16)
    for dtype in TOLERANCE:
        error, work = error_of(case, dtype)
        assert error < TOLERANCE[dtype]
        assert (work.own == CELL).all()


@pytest.mark.parametrize(("heads", "longest"), [((6, 2), 2), ((8, 1), 2), ((2, 2), 5)])
def test_question_copies_see_any_subsets(heads, longest):
    rng = np.random.default_rng(1)
    lengths = [90, *rng.integers(0, 30, size=12).tolist()]
    chunks = []
    for query_index in range(2):
        for copy in range(9):
            alive = [0] if copy == 0 else [0, *(1 + rng.permutation(12)[: rng.integers(1, 12)]).tolist()]
            chunks.append((query_index, int(rng.integers(1, longest)), alive))
    case = problem(chunks, lengths, heads=heads, size=16)
    for dtype in (torch.float16, torch.bfloat16):
        error, work = error_of(case, dtype)
        assert error < TOLERANCE[dtype]
        assert len(work.rows) < len(chunks)  # copies of one length share tiles
        assert int(work.run_words.max()) > 1


def test_one_row_of_one_candidate_over_several_splits():
    case = problem([(0, 1, [0, 1])], [3 * SPLIT - 1, 2], heads=(8, 2))
    error, work = error_of(case, torch.float32)
    assert error < TOLERANCE[torch.float32]
    assert (len(work.rows), work.most_parts) == (1, 4)


def test_a_split_that_some_rows_of_the_tile_see_nothing_of():
    lengths = [SPLIT, SPLIT, 5]
    case = problem([(0, 2, [0]), (0, 2, [0, 1, 2]), (0, 2, [0, 2]), (0, 3, [])], lengths, heads=(4, 2))
    for dtype in HALF:
        error, work = error_of(case, dtype)
        assert error < TOLERANCE[dtype]
        assert work.most_parts == 3


def test_rows_of_many_tiles_split_into_longer_parts(monkeypatch):
    monkeypatch.setattr(triton_metadata, "SPLIT", 1)
    # 40 rows of two heads in tiles of 4 packed rows: 20 tiles, each over 192 keys
    case = problem([(0, 40, [0])], [192], heads=(2, 1), size=16)
    error, work = error_of(case, torch.float32, 4)
    assert error < TOLERANCE[torch.float32]
    assert len(work.rows) == 20
    assert (work.cell_ends - work.cell_begins).tolist() == [2, 1] * 20


def test_parts_take_the_same_memory_whatever_the_step_holds(monkeypatch):
    monkeypatch.setattr(triton_metadata, "PARTS", 12)
    chunks = [(query_index, 1, [query_index]) for query_index in range(7)]
    case = problem(chunks, [2 * SPLIT + 9] * 7, heads=(2, 2), size=16)
    error, work = error_of(case, torch.float32)
    assert error < TOLERANCE[torch.float32]
    assert work.most_parts == 6
    assert len(work.waves) == 4
    assert [wave.items_end - wave.items for wave in work.waves] == [6, 6, 6, 3]


def test_thirty_two_copies_fill_every_bit_of_a_word():
    case = problem([(0, 1, [0, 1 + copy]) for copy in range(33)], [7] * 34, heads=(1, 1), shuffled=False)
    error, work = error_of(case, torch.float16)
    assert error < TOLERANCE[torch.float16]
    assert sorted(work.counts.tolist()) == [1, 32]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_query_alone_equals_the_query_in_a_batch_bit_for_bit(dtype):
    lengths = [70, 20, 30, 600]
    mine = [(0, 40, []), (0, 25, [0]), (0, 30, [0]), (0, 3, [0, 1]), (0, 3, [0, 1, 2])]
    other = [(1, 17, [3]), (1, 2, [3])]
    batch = problem(mine + other, lengths, seed=3)
    alone = batch.part(mine)
    rows = alone.plan.rows
    found = [computed(case, work_of(case, dtype), dtype) for case in (alone, batch)]
    assert torch.equal(found[0], found[1][:rows])


@pytest.mark.parametrize(
    ("heads", "dtype"), [((2, 2), torch.float16), ((4, 1), torch.bfloat16), ((1, 1), torch.float32)]
)
def test_a_question_says_the_same_bits_whatever_is_guessed_beside_it(dtype, heads):
    # Of 13 candidates of 45 tokens one goes each round: 585 keys behind a prefix, over two splits.
    lengths = [100, *[45] * 13]
    order = np.random.default_rng(4).permutation(13)
    questions = [(0, 6, [0, *(1 + np.sort(order[round_:]))]) for round_ in range(12)]
    together = problem(questions, lengths, heads=heads, shuffled=False, size=32)
    found = computed(together, work_of(together, dtype), dtype)
    assert relative_error(found, dense_attention(together)) < TOLERANCE[dtype]
    for round_ in (0, 1, 7, 11):
        alone = together.part(questions[round_ : round_ + 1], first=6 * round_)
        one = computed(alone, work_of(alone, dtype), dtype)
        assert torch.equal(one, found[6 * round_ : 6 * round_ + 6])


def test_slots_that_nobody_sees_are_not_read():
    chunks = [(0, 9, [0]), (0, 2, [0, 1]), (0, 2, [0, 2]), (1, 4, [4])]
    case = problem(chunks, [70, 33, 600, 50, 10], heads=(4, 2))
    unseen = case.spoiled()
    for dtype in HALF:
        assert torch.equal(*(computed(x, work_of(x, dtype), dtype) for x in (case, unseen)))


def test_a_tile_without_rows_is_left_alone():
    case = problem([(0, 5, [0]), (1, 3, [1])], [SPLIT + 1, 30], heads=(4, 2))
    work = work_of(case, torch.float32)
    expected = computed(case, work, torch.float32)
    lost = int(work.merged[0])  # of several splits
    rows = slice(int(work.rows[lost]), int(work.rows[lost]) + int(work.counts[lost]))
    work.counts[lost] = work.rows[lost] = 0
    found = computed(case, work, torch.float32)
    assert found[rows].isnan().all()
    found[rows] = expected[rows]
    assert torch.equal(found, expected)


def test_the_reference_reads_the_same_work():
    case = problem([(0, 5, []), (0, 4, [0]), (0, 2, [0, 1]), (0, 2, [0, 2])], [70, 33, 600], heads=(4, 2))
    work, exact = work_of(case, torch.float32), case.tensors(torch.float64)
    out = torch.zeros_like(case.query.transpose(0, 1), device=DEVICE)
    work = work.to(DEVICE)
    attention_reference(*exact, work, work.key_words(), out, case.scaling, -1.0)
    assert relative_error(out, dense_attention(case, -1.0)) < 1e-12


def test_work_cut_for_larger_tiles_is_refused():
    case = problem([(0, 80, [0]), (0, 9, [0])], [700], heads=(4, 2))
    with pytest.raises(ValueError, match="178 packed rows"):
        computed(case, work_of(case, torch.float32, 512), torch.float32)


def test_columns_that_are_not_adjacent_are_refused():
    case = problem([(0, 3, [0])], [7], heads=(4, 2))
    work, out = work_of(case, torch.float32).to(DEVICE), torch.zeros(3, 4, 64, device=DEVICE)
    query, *others = case.tensors(torch.float32)
    scattered = query.transpose(1, 2).contiguous().transpose(1, 2)
    with pytest.raises(ValueError, match=r"columns of query .*\.contiguous"):
        attention(scattered, *others, work, work.key_words(), out, case.scaling)


def test_too_many_grouped_heads_and_too_large_heads_are_refused():
    case = problem([(0, 3, [])], [], heads=(66, 1))
    with pytest.raises(ValueError, match="66 query heads"):
        attention_metadata(case.plan, 66, 1, 64)
    with pytest.raises(ValueError, match="256"):
        pick_attention(288, torch.bfloat16, "sm_90")


def test_rows_that_are_too_far_apart_to_be_counted_are_refused():
    case = problem([(0, 3, [])], [], heads=(2, 1), size=16)
    work = work_of(case, torch.float32).to(DEVICE)
    _, *others = case.tensors(torch.float32)
    far = torch.empty_strided((2, 3, 16), (16, 2**30, 1), device="meta")  # refused before anything is read
    with pytest.raises(ValueError, match=r"3 rows of query ends 2147483663 .* lower max_batch_tokens"):
        attention(far, *others, work, work.key_words(), torch.empty(3, 2, 16), case.scaling)
