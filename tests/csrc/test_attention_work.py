"""The attention kernel's work list, planned in C++, against plain Python on random plans."""

from __future__ import annotations

import numpy as np
import pytest

from rranker import _C
from rranker.engine.attention.triton_metadata import attention_metadata
from rranker.engine.batch import Batch, BatchBuilder, Segment
from tests.support import metadata_reference

NOTHING = np.zeros(0, dtype=np.int64)


def random_plan(rng: np.random.Generator) -> Batch:
    """Queries with gaps between their slots: some encode what they hold (empty candidates too), all ask."""
    builder, slot = BatchBuilder(bidirectional=bool(rng.integers(0, 2))), int(rng.integers(0, 500))
    for query in range(int(rng.integers(1, 6))):
        prefix, n = int(rng.integers(1, 300)), int(rng.integers(1, 40))
        lengths = rng.integers(0, 90, n)
        number = builder.segment(Segment(slot, prefix, 0))
        if fresh := bool(rng.random() < 0.5):
            builder.chunk(np.arange(prefix), 0, NOTHING, query, slot)
        places = builder.segments(slot + prefix, lengths, prefix)
        for begin, length in zip(slot + prefix + np.cumsum(lengths) - lengths, lengths.tolist(), strict=True):
            if fresh:
                builder.chunk(np.arange(length), prefix, np.array([number]), query, int(begin))
        asked = int(rng.integers(0 if fresh else 1, 12))
        subsets = [tuple(rng.permutation(n)[: rng.integers(0, n + 1)].tolist()) for _ in range(asked)]
        if asked and rng.random() < 0.3:
            subsets = [subsets[0]] * asked
        question, positions = np.arange(int(rng.integers(1, 20))), np.zeros(asked, dtype=np.int64)
        builder.questions(question, positions, np.array([number]), places, subsets, query)
        slot += prefix + int(lengths.sum()) + int(rng.integers(0, 200))
    return builder.build()


@pytest.mark.parametrize("seed", range(60))
def test_a_plan_equals_its_plain_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plan = random_plan(rng)
    shape = (
        int(rng.choice([1, 2, 3, 7, 8])),
        int(rng.choice([1, 2, 8, 300])),
        int(rng.choice([16, 64, 128])),
    )
    found, expected = attention_metadata(plan, *shape), metadata_reference.attention_metadata(plan, *shape)
    numbers = ("waves", "largest", "most_parts", "keys")
    assert [getattr(found, name) for name in numbers] == [getattr(expected, name) for name in numbers]
    for name, array in expected.arrays().items():
        assert getattr(found, name).tolist() == array.tolist(), name
    assert all(array.storage_offset() % 4 == 0 for array in found.arrays().values())


def test_impossible_plans_are_refused() -> None:
    limits, one = (64, 8, 8, 32, 16), np.array([0, 3])

    def planned(visible: list[int], start: int = 0, height: int = 4, sets: int = 32) -> None:
        seen, offsets = np.array(visible), np.array([0, len(visible)])
        of_segments = np.array([start]), np.array([5])
        _C.attention_work(
            one, np.array([0]), seen, offsets, *of_segments, False, height, (*limits[:3], sets, limits[4])
        )

    planned([0])
    with pytest.raises(ValueError, match="sees segment 1, and the batch has 1"):
        planned([1])
    with pytest.raises(ValueError, match="what 32 bits can number"):
        planned([0], start=2**31)
    for wrong in ({"height": 0}, {"sets": 33}):
        with pytest.raises(ValueError, match="a word has 32 bits"):
            planned([0], **wrong)
