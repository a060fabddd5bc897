"""The plan builder and the mask of hidden keys against their plain references, on awkward sizes."""

import numpy as np
import pytest

from rranker import _C
from tests.support import batch_reference


def random_step(builder, seed):
    """Queries with a prefix, candidates (some empty), a tail, and questions about any subsets of them."""
    rng = np.random.default_rng(seed)

    def ids(least, most):
        return rng.integers(0, 99, size=rng.integers(least, most))

    slot = int(rng.integers(0, 50))
    for query_index in range(int(rng.integers(1, 5))):
        prefix, n = ids(1, 9), int(rng.integers(1, 12))
        lengths = rng.integers(0, 7, size=n)
        number = builder.segment(slot, len(prefix), 0)
        builder.chunk(prefix, 0, np.zeros(0, dtype=np.int64), query_index, slot)
        places = np.asarray(builder.segments(slot + len(prefix), lengths, len(prefix)))
        first = slot + len(prefix)
        for length in lengths.tolist():
            row = builder.chunk(ids(length, length + 1), len(prefix), np.array([number]), query_index, first)
            assert row == builder.rows - length
            if length:
                builder.read(row + length - 1)
            first += length
        if builder.rows:
            rows = rng.integers(0, builder.rows, size=rng.integers(1, 5))
            assert builder.reads(rows) == builder.read(0) - len(rows)
        subsets = [
            tuple(rng.permutation(n)[: rng.integers(0, n + 1)].tolist()) for _ in range(rng.integers(0, 6))
        ]
        positions = rng.integers(0, 99, size=len(subsets))
        question = ids(1, 4)
        reads = int(rng.integers(1, len(question) + 1))
        builder.questions(question, positions, np.array([number]), places, subsets, query_index, reads)
        assert builder.segment(slot, len(prefix), 0) == number  # asked for again, the same one
        slot = first
    return builder.arrays()


@pytest.mark.parametrize("seed", range(40))
def test_a_step_equals_its_plain_reference(seed):
    found = random_step(_C.BatchBuilder(), seed)
    expected = random_step(batch_reference.BatchBuilder(), seed)
    for got, wanted in zip(found, expected, strict=True):
        assert got.dtype == np.int64
        assert got.tolist() == wanted.tolist()


@pytest.mark.parametrize("seed", range(40))
def test_hidden_keys_equal_their_plain_reference(seed):
    _, _, _, row_offsets, _, visible, visible_offsets, _, lengths, _, _ = random_step(_C.BatchBuilder(), seed)
    rng = np.random.default_rng(seed)
    chunks = rng.permutation(len(row_offsets) - 1)[: rng.integers(1, len(row_offsets))]
    parts = [visible[visible_offsets[c] : visible_offsets[c + 1]] for c in chunks]
    segments = rng.permutation(np.unique(np.concatenate(parts)))
    arguments = chunks, segments, row_offsets, visible, visible_offsets, lengths
    np.testing.assert_array_equal(_C.hidden_keys(*arguments), batch_reference.hidden_keys(*arguments))


def test_an_empty_step_is_a_step():
    assert [a.tolist() for a in _C.BatchBuilder().arrays()] == [[], [], [], [0], [], [], [0], [], [], [], []]


def test_impossible_plans_are_refused():
    nothing, one = np.zeros(0, dtype=np.int64), np.array([0])
    builder = _C.BatchBuilder()
    with pytest.raises(ValueError, match="sees segment 0, and the batch has 0"):
        builder.chunk(one, 0, one, 0, -1)
    builder = _C.BatchBuilder()
    places = builder.segments(0, np.array([2, 3]), 5)
    with pytest.raises(ValueError, match="names candidate 2 of 2"):
        builder.questions(one, np.array([9]), nothing, places, [(0, 2)], 0, 1)
    with pytest.raises(ValueError, match="one position a subset"):
        builder.questions(one, np.array([9, 9]), nothing, places, [(0,)], 0, 1)
    with pytest.raises(ValueError, match="no row 7"):
        builder.read(7)
    with pytest.raises(ValueError, match="no row 7"):
        builder.reads(np.array([7]))
    with pytest.raises(ValueError, match="a question of 0 tokens has no last 1 rows"):
        builder.questions(nothing, np.array([9]), nothing, places, [(0,)], 0, 1)
    with pytest.raises(ValueError, match="a question of 1 tokens has no last 2 rows"):
        builder.questions(one, np.array([9]), nothing, places, [(0,)], 0, 2)
    with pytest.raises(ValueError, match="a segment cannot hold -1 tokens"):
        builder.segment(0, -1, 0)
    offsets = np.array([0, 1])
    for length in (-3, 2**62):
        with pytest.raises(ValueError, match=f"a segment cannot hold {length} tokens"):
            _C.hidden_keys(one, one, offsets, one, offsets, np.array([length]))
    with pytest.raises(ValueError, match="sees segment 1, which has no keys here"):
        _C.hidden_keys(one, one, offsets, np.array([1]), offsets, np.array([2, 3]))
    with pytest.raises(ValueError, match="no chunk 4"):
        _C.hidden_keys(np.array([4]), one, offsets, one, offsets, np.array([2]))


def test_a_plan_is_unchanged_by_what_it_refuses():
    """Each refused call is partly right, so a builder that adds as it goes would keep the right part."""
    nothing, one, two = np.zeros(0, dtype=np.int64), np.array([0]), np.array([1, 2])
    builder = _C.BatchBuilder()
    places = builder.segments(0, np.array([2, 3]), 5)
    builder.chunk(two, 0, places, 0, 0)
    before = [a.tolist() for a in builder.arrays()]

    class Broken:
        def __index__(self):
            raise RuntimeError("no place")

    refused = [
        lambda: builder.chunk(two, 0, np.array([0, 7]), 0, 0),
        lambda: builder.chunk(two, 0, np.array([-1]), 0, 0),
        lambda: builder.segments(0, np.array([4, -1]), 0),
        lambda: builder.questions(two, np.array([9, 9]), one, places, [(0,), (0, 2)], 0, 1),
        lambda: builder.questions(two, np.array([9, 9]), one, places, [(0,), (1, -1)], 0, 1),
        lambda: builder.questions(two, np.array([9, 9]), one, np.array([0, 7]), [(0,), (1,)], 0, 1),
        lambda: builder.questions(two, np.array([9]), np.array([0, 7]), places, [(0,)], 0, 1),
        lambda: builder.questions(two, np.array([9, 9]), one, places, [(0,), 5], 0, 1),
        lambda: builder.questions(two, np.array([9, 9]), one, places, [(0,), (Broken(),)], 0, 1),
        lambda: builder.questions(nothing, np.array([9]), one, places, [(0,)], 0, 1),
        lambda: builder.questions(nothing, nothing, one, places, [], 0, 1),
        lambda: builder.read(2),
    ]
    for number, call in enumerate(refused):
        with pytest.raises((ValueError, TypeError, RuntimeError)):
            call()
        assert [a.tolist() for a in builder.arrays()] == before, number
    builder.questions(two, np.array([9]), one, places, [(0, 1)], 0, 1)
    assert builder.rows == 4
