"""The plan's CSR arrays and the dense mask against their plain twins, on awkward sizes."""

import numpy as np
import pytest

from rranker import _C
from tests.csrc import twins


def ragged(rows):
    offsets = np.cumsum([0] + [len(r) for r in rows]).astype(np.int64)
    return np.array([x for r in rows for x in r], dtype=np.int64), offsets


def random_step(seed):
    """Episodes with prefix segments, candidates, a guess and own suffix segments, ids drawn without order."""
    rng = np.random.default_rng(seed)
    ids = iter(rng.permutation(2000).tolist())
    prefixes, candidates, exclusions, own = [], [], [], []
    for n in rng.integers(1, 24, size=int(rng.integers(1, 6))):
        prefixes.append([next(ids) for _ in range(int(rng.integers(0, 3)))])
        candidates.append([next(ids) for _ in range(n)])
        exclusions.append(rng.permutation(n)[: rng.integers(0, n)].tolist())
        copies = int(rng.integers(0, len(exclusions[-1]) + 2))
        own.append([next(ids) if rng.random() < 0.8 else -1 for _ in range(copies)])
    return prefixes, candidates, exclusions, own


@pytest.mark.parametrize("seed", range(40))
def test_visible_sets_layout_and_mask(seed):
    step = random_step(seed)
    flat = [array for rows in step for array in ragged(rows)]
    ends, visible = _C.nested_visible(*flat)
    chunks = [c for episode in zip(*step, strict=True) for c in twins.nested_visible(*episode)]
    assert twins.split(visible.tolist(), ends) == chunks

    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 9, size=2000).astype(np.int64)
    own = np.array([segment for rows in step[3] for segment in rows], dtype=np.int64)
    rows = [int(lengths[s]) if s >= 0 else int(rng.integers(0, 4)) for s in own]
    starts = (np.cumsum(lengths) - lengths).astype(np.int64)
    segments, key_ends, slots = _C.union_layout(visible, starts, lengths)
    assert segments.tolist() == list(dict.fromkeys(s for c in chunks for s in c))
    assert slots.tolist() == [int(starts[s]) + k for s in segments for k in range(lengths[s])]
    row_ends = np.cumsum([0, *rows]).astype(np.int64)
    mask = _C.visibility_mask(ends, visible, row_ends, segments, key_ends, own, 2000)
    expected = twins.visibility_mask(
        chunks, rows, segments.tolist(), lengths[segments].tolist(), own.tolist()
    )
    assert mask.shape == (sum(rows), slots.size)
    assert mask.tolist() == expected


def test_rows_continue_a_cached_own_segment():
    """Two rows of a five-key segment: the keys before them are cached, so they see four and five of them."""
    mask = _C.visibility_mask(
        *(np.array(a) for a in ([0, 2], [0, 1], [0, 2], [0, 1], [0, 3, 8], [1])),
        2,
    )
    assert mask.sum(axis=1).tolist() == [3 + 4, 3 + 5]


def test_impossible_plans_are_refused():
    one = ragged([[0]])
    with pytest.raises(ValueError, match="which is not alive"):
        _C.nested_visible(*one, *ragged([[1, 2, 3]]), *ragged([[1, 1]]), *ragged([[4, 5, 6]]))
    with pytest.raises(ValueError, match="more than its exclusions allow"):
        _C.nested_visible(*one, *ragged([[1, 2, 3]]), *ragged([[]]), *ragged([[4, 5, 6]]))
    with pytest.raises(ValueError, match="no keys in the layout"):
        _C.visibility_mask(*(np.array(a) for a in ([0, 1], [1], [0, 1], [0], [0, 1], [-1])), 2)
