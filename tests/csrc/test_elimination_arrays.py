"""Elimination bookkeeping against its plain twins."""

import numpy as np
import pytest

from rranker import _C
from tests.csrc import twins


def ragged(rows):
    offsets = np.cumsum([0] + [len(r) for r in rows]).astype(np.int64)
    return np.array([x for r in rows for x in r], dtype=np.int64), offsets


@pytest.fixture
def episodes():
    rng = np.random.default_rng(3)
    sizes = np.array([1, 2, 5, 13, 40, 7], dtype=np.int64)
    rows = [rng.permutation(n)[: rng.integers(0, n)].tolist() for n in sizes]
    return sizes, rows


def test_alive_sets_and_orders(episodes):
    sizes, rows = episodes
    alive, ends = _C.alive_sets(sizes, *ragged(rows))
    expected = [s for n, row in zip(sizes, rows, strict=True) for s in twins.alive_sets(int(n), row)]
    assert twins.split(alive.tolist(), ends) == expected
    order = _C.elimination_order(sizes, *ragged(rows)).tolist()
    ends = np.concatenate([[0], np.cumsum(sizes)])
    assert twins.split(order, ends) == [
        twins.elimination_order(int(n), row) for n, row in zip(sizes, rows, strict=True)
    ]


def test_excluding_twice_is_an_error():
    with pytest.raises(ValueError, match="episode 1 excludes candidate 2 twice"):
        _C.elimination_order(np.array([3, 3]), *ragged([[0], [2, 2]]))
    with pytest.raises(ValueError, match="not one of its 3"):
        _C.alive_sets(np.array([3]), *ragged([[3]]))


@pytest.mark.parametrize(
    ("guess", "verdict", "rounds"),
    [
        ([3, 1, 2], [3, 1, 2, 0], 4),
        ([3, 1, 2], [3, 1, 2], 3),
        ([3, 1, 2], [3, 2, 1], 2),  # the second verdict stands; the third was scored on a wrong set
        ([3, 1, 2], [0, 1, 2], 1),
        ([], [5], 1),
        ([4], [], 0),
    ],
)
def test_speculation_accepts_up_to_the_first_miss(guess, verdict, rounds):
    g, go = ragged([guess])
    v, vo = ragged([verdict])
    assert _C.accepted_rounds(g, v, go, vo).tolist() == [rounds] == [twins.accepted_rounds(guess, verdict)]


def test_common_prefix():
    a, ao = ragged([[1, 2, 3], [1, 2], [], [7]])
    b, bo = ragged([[1, 2, 4], [1, 2, 3], [5], [8]])
    assert _C.common_prefix(a, b, ao, bo).tolist() == [2, 2, 0, 0]


def test_offsets_are_checked():
    with pytest.raises(ValueError, match="must start at 0 and end at the number of values"):
        _C.invert(np.array([0, 1]), np.array([0, 3]))
    with pytest.raises(ValueError, match="must never fall"):
        _C.invert(np.array([0, 1]), np.array([0, 2, 1, 2]))
