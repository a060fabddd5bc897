"""The plan's CSR builder beside its plain Python twin. `python -m bench.test_plan_builder` prints a table."""

from __future__ import annotations

import time

import numpy as np
import pytest

from rranker import _C
from tests.csrc import twins


def step(n=100, episodes=8):
    """All rounds of `episodes` queries with `n` candidates guessed at once."""
    rng = np.random.default_rng(0)
    size = 1 + n + n
    return [
        (
            [e * size],
            list(range(e * size + 1, e * size + 1 + n)),
            rng.permutation(n)[:-1].tolist(),
            list(range(e * size + 1 + n, (e + 1) * size)),
        )
        for e in range(episodes)
    ]


def ragged(rows):
    offsets = np.cumsum([0] + [len(r) for r in rows]).astype(np.int64)
    return np.array([x for r in rows for x in r], dtype=np.int64), offsets


EPISODES = step()
FLAT = [array for rows in zip(*EPISODES, strict=True) for array in ragged(rows)]


def extension():
    return _C.nested_visible(*FLAT)


def extension_from_lists():
    """With the lists turned into arrays each time, as a first caller would."""
    return _C.nested_visible(*(array for rows in zip(*EPISODES, strict=True) for array in ragged(rows)))


def twin():
    chunks = [chunk for episode in EPISODES for chunk in twins.nested_visible(*episode)]
    return ragged(chunks)[::-1]


WAYS = {"extension": extension, "extension from lists": extension_from_lists, "Python twin": twin}


@pytest.mark.parametrize("name", WAYS)
def test_nested_visible(benchmark, name):
    for got, expected in zip(WAYS[name](), twin(), strict=True):
        assert np.array_equal(got, expected)
    benchmark(WAYS[name])


def main() -> None:
    print("visible sets of 8 queries x 100 candidates, 100 nested rounds each; best of 5")
    seconds = {}
    for name, way in WAYS.items():
        times = []
        for _ in range(5):
            start = time.perf_counter()
            way()
            times.append(time.perf_counter() - start)
        seconds[name] = min(times)
    for name, value in seconds.items():
        print(f"{name:24s} {value * 1000:8.2f} ms  {seconds['Python twin'] / value:6.1f}x")


if __name__ == "__main__":
    main()
