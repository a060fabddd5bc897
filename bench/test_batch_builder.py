"""A step's plan and mask beside their plain Python references. `python -m bench.test_batch_builder` prints a table."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from rranker import _C
from tests.support import batch_reference

QUERIES, N, PREFIX, LENGTH = 8, 100, 200, 100
BUILDERS = {"extension": _C.BatchBuilder, "Python reference": batch_reference.BatchBuilder}
MASKS = {"extension": _C.hidden_keys, "Python reference": batch_reference.hidden_keys}


def step(make: Any) -> Any:
    """The first pass and all guessed rounds of 8 queries with 100 candidates of 100 tokens, in one plan."""
    builder, tokens = make(), np.arange(PREFIX)
    nothing, lengths = np.zeros(0, dtype=np.int64), np.full(N, LENGTH)
    subsets = [tuple(range(alive)) for alive in range(N, 1, -1)]
    after = np.full(len(subsets), PREFIX + LENGTH)
    for query_index in range(QUERIES):
        start = query_index * (PREFIX + N * LENGTH)
        prefix = np.array([builder.segment(start, PREFIX, 0)])
        places = builder.segments(start + PREFIX, lengths, PREFIX)
        builder.chunk(tokens, 0, nothing, query_index, start)
        for i in range(N):
            row = builder.chunk(tokens[:LENGTH], PREFIX, prefix, query_index, start + PREFIX + i * LENGTH)
            builder.read(row + LENGTH - 1)
        builder.questions(tokens[:1], after, prefix, np.asarray(places), subsets, query_index, 1)
    return builder.arrays()


def mask(make: Any) -> Any:
    """What the 99 questions of the first query must not see."""
    _, _, _, rows, _, visible, ends, _, lengths, _, _ = PLAN
    return make(np.arange(1 + N, 1 + N + N - 1), np.arange(1 + N), rows, visible, ends, lengths)


PLAN = step(_C.BatchBuilder)


@pytest.mark.parametrize("name", BUILDERS)
def test_step(benchmark: Any, name: str) -> None:
    for got, expected in zip(step(BUILDERS[name]), PLAN, strict=True):
        assert np.array_equal(got, expected)
    benchmark.group = "plan of 8 queries x 100 candidates, 99 guessed rounds each"
    benchmark(step, BUILDERS[name])


@pytest.mark.parametrize("name", MASKS)
def test_mask(benchmark: Any, name: str) -> None:
    assert np.array_equal(mask(MASKS[name]), mask(_C.hidden_keys))
    benchmark.group = "mask of 99 questions x 10,200 keys"
    benchmark(mask, MASKS[name])


def best(work: Any, make: Any, repeat: int = 5) -> float:
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        work(make)
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    for title, work, ways in (("plan", step, BUILDERS), ("mask", mask, MASKS)):
        seconds = {name: best(work, make) for name, make in ways.items()}
        for name, value in seconds.items():
            print(f"{title}, {name:12} {value * 1000:8.2f} ms  {seconds['Python reference'] / value:6.1f}x")


if __name__ == "__main__":
    main()
