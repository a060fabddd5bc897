"""Sliding windows: blocks against the dense mask, backends against the reference, and a cost that does not square."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rranker.engine.attention import attention_backend
from rranker.engine.attention.reference import dense_mask, stored_keys
from rranker.engine.attention.varlen import FlashVarlen, VarlenAttention
from rranker.engine.attention.windows import ROWS, blocks, cut_chunks, some_chunks
from rranker.engine.batch import Batch, BatchBuilder, Segment
from rranker.engine.kv.cache import KVCache
from rranker.engine.transfer import Transfer
from tests.support.kernel_problems import device_of
from tests.support.varlen_references import varlen_reference

CPU = torch.device("cpu")
SLOTS = 4096
WINDOWS = (1, 2, 3, 7, 20, 60, 150, 400)


def add_query(
    builder: BatchBuilder, query_index: int, rng: np.random.Generator, block: bool, start: int
) -> int:
    """Stored and fresh segments of any lengths (none at all, or longer than a block), and questions over subsets.

    Returns the first slot behind the query's.
    """
    nothing, slot = np.zeros(0, np.int64), start
    prefix = int(rng.choice([1, 5, 40, ROWS + 30]))
    lengths = rng.choice(
        [0, 1, 2, 6, 30, ROWS + 9], size=int(rng.integers(1, 6)), p=[0.1, 0.2, 0.2, 0.3, 0.15, 0.05]
    )

    def tokens(count: int) -> np.ndarray:
        return np.zeros(count, np.int64)

    numbers = [builder.segment(Segment(slot, prefix, 0))]
    if rng.random() < 0.5:
        builder.chunk(tokens(prefix), 0, nothing, query_index, slot)
    slot, position = slot + prefix, 0 if builder.bidirectional else prefix
    for length in lengths.tolist():
        numbers.append(builder.segment(Segment(slot, length, position)))
        if length and rng.random() < 0.5:  # a fresh one; the others are stored by an earlier step
            seen = numbers[:1] if block else numbers[:-1]
            builder.chunk(tokens(length), position, np.asarray(seen), query_index, slot)
        slot += length
        position += 0 if block or builder.bidirectional else length
    behind = 0 if builder.bidirectional else prefix + int(lengths.max()) if block else position
    for _ in range(int(rng.integers(1, 5))):
        seen = [number for number in numbers if rng.random() < 0.8]
        builder.chunk(tokens(int(rng.integers(1, 9))), behind, np.asarray(seen, np.int64), query_index, None)
    return slot


def random_plan(seed: int, queries: int = 3, context_bias: float = 0.0) -> Batch:
    """Every second seed's is an encoder's: chunks see themselves wholly, and all segments start at position 0."""
    rng, slot = np.random.default_rng(seed), 0
    builder = BatchBuilder(bidirectional=seed % 2 == 1, context_bias=context_bias)
    for query_index in range(queries):
        slot = add_query(builder, query_index, rng, bool(rng.integers(2)), slot + int(rng.integers(3)))
    assert slot <= SLOTS
    return builder.build()


def attention(backend, plan: Batch, window: int | None, dtype=torch.float32, on=CPU):
    """[T, heads, D], on the CPU, of 6 query heads over 2 KV heads; a slot and a row are drawn by their number alone."""

    def noise(seed: int, heads: int, count: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(count, heads, 16, generator=generator).transpose(0, 1).to(on, dtype)

    store = KVCache(1, SLOTS)
    store.write(0, slice(0, SLOTS), noise(0, 2, SLOTS), noise(1, 2, SLOTS))
    query, key, value = (noise(seed, heads, plan.rows)[None] for seed, heads in ((2, 6), (3, 2), (4, 2)))
    out = backend.prepare(plan, store, Transfer(on), (window,))(
        0, query, key, value, scaling=0.3, window=window
    )
    assert out.is_contiguous()
    assert out.shape == (1, plan.rows, 6, 16)
    return out[0].cpu()


def by_blocks(plan: Batch, window: int) -> np.ndarray:
    """The dense mask, put together from the blocks of cut chunks and the whole visibility of the others."""
    slots, _ = stored_keys(plan)
    place = {slot: at for at, slot in enumerate(slots.tolist())}
    cut = cut_chunks(plan, window)
    mask = dense_mask(plan, None)
    for block in blocks(plan, window, np.flatnonzero(cut)):
        mask[block.first : block.last] = False
        columns = [place[slot] for slot in block.slots.tolist()]
        columns += [len(slots) + row for row in range(block.own, block.own_last)]
        mask[block.first : block.last, columns] = block.visible
        assert block.last - block.first <= ROWS
        assert block.visible.any(axis=0)[: len(block.slots)].all()  # nothing is read that nobody sees
    return mask


@pytest.mark.parametrize("window", WINDOWS)
def test_blocks_say_what_the_dense_mask_says(window):
    for seed in range(40):
        plan = random_plan(seed)
        np.testing.assert_array_equal(by_blocks(plan, window), dense_mask(plan, window))


@pytest.mark.parametrize("window", WINDOWS)
def test_a_chunk_is_cut_when_the_window_hides_something(window):
    for seed in range(40):
        plan = random_plan(seed)
        rows = (dense_mask(plan, None) != dense_mask(plan, window)).any(axis=1)
        hidden = [rows[a:b].any() for a, b in zip(plan.row_offsets[:-1], plan.row_offsets[1:], strict=True)]
        np.testing.assert_array_equal(cut_chunks(plan, window), hidden)


@pytest.mark.parametrize(
    ("backend", "dtype", "error"),
    [
        ("cpu", torch.float32, 1e-5),
        ("cpu", torch.bfloat16, 3e-2),
        ("cpu", torch.float16, 4e-3),
        ("flash", torch.float16, 4e-3),
        pytest.param("triton", torch.float32, 1e-5, marks=pytest.mark.gpu),
    ],
)
@pytest.mark.parametrize("window", WINDOWS)
def test_backends_equal_the_reference(backend, dtype, error, window):
    chosen = (
        VarlenAttention(FlashVarlen(varlen_reference)) if backend == "flash" else attention_backend(backend)
    )
    for seed in range(2 if backend == "triton" else 8):
        plan = random_plan(seed)
        found = attention(chosen, plan, window, dtype, device_of(backend))
        expected = attention(attention_backend("reference"), plan, window, dtype)
        torch.testing.assert_close(found, expected, atol=error, rtol=error)


def long_prompts(queries: int) -> Batch:
    """Causal queries of 900 tokens, prefix and ten candidates in one chunk, and a question of 10."""
    builder = BatchBuilder()
    for query_index in range(queries):
        start = query_index * 890
        number = builder.segment(Segment(start, 890, 0))
        builder.chunk(np.zeros(890, np.int64), 0, np.zeros(0, np.int64), query_index, start)
        builder.chunk(np.zeros(10, np.int64), 890, np.asarray([number]), query_index, None)
    return builder.build()


def test_work_is_linear_in_the_queries_and_the_length():
    def entries(queries: int, window: int) -> int:
        plan = long_prompts(queries)
        return sum(
            block.visible.size for block in blocks(plan, window, np.flatnonzero(cut_chunks(plan, window)))
        )

    one = entries(1, 512)
    assert one <= 900 * (512 + ROWS)
    assert [entries(queries, 512) for queries in (2, 4)] == [2 * one, 4 * one]
    assert entries(1, 32) <= 900 * (32 + ROWS)


def test_what_is_beside_a_query_changes_no_bit_of_its_blocks():
    backend, alone, together = attention_backend("cpu"), long_prompts(1), long_prompts(3)
    assert torch.equal(attention(backend, alone, 100), attention(backend, together, 100)[: alone.rows])


def test_some_chunks_are_a_plan_of_their_own():
    for seed in range(20):
        plan = random_plan(seed)
        chunks = np.flatnonzero(np.random.default_rng(seed).random(plan.chunks) < 0.5)
        if not len(chunks):
            continue
        part, rows = some_chunks(plan, chunks)
        stored = len(stored_keys(plan)[0])
        columns = np.concatenate([np.arange(stored), stored + rows])
        np.testing.assert_array_equal(dense_mask(part, None), dense_mask(plan, None)[rows][:, columns])
        np.testing.assert_array_equal(part.positions, plan.positions[rows])
        assert (part.write_slots == -1).all()
