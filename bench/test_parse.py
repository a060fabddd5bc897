"""The parser on hostile text, time a byte at two lengths; and on misspelt titles, time a candidate at two numbers.

Both stay alike, because it is linear.

`python -m bench.test_parse` prints the tables; under pytest each unit is one benchmark.
"""

from __future__ import annotations

import random
import time

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from rranker import permutations
from tests.support.hostile_texts import HOSTILE_TEXTS, HOSTILE_UNITS

SHORT, LONG = 40_000, 640_000


def text_of(unit: str, length: int) -> str:
    return unit * (length // len(unit))


@pytest.mark.parametrize("unit", HOSTILE_UNITS)
def test_parse(benchmark: BenchmarkFixture, unit: str) -> None:
    benchmark(permutations.parse, text_of(unit, SHORT), 20, candidates=HOSTILE_TEXTS)


def nanoseconds_a_byte(text: str) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        permutations.parse(text, 20, candidates=HOSTILE_TEXTS)
        times.append(time.perf_counter() - start)
    return min(times) * 1e9 / len(text.encode())


def microseconds_a_candidate(n: int) -> float:
    """Of a list in which each title has one wrong letter, so that its closest candidate has to be found."""
    rng = random.Random(0)
    vocabulary = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(3, 9))) for _ in range(3000)]
    titles = [" ".join(rng.choices(vocabulary, k=6)) + f" {i}" for i in range(n)]
    text = "\n".join(f"{title[:5]}z{title[6:]}" for title in rng.sample(titles, n))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        permutations.parse(text, n, candidates=titles)
        times.append(time.perf_counter() - start)
    return min(times) * 1e6 / n


def main() -> None:
    print(f"ns a byte, 20 candidates with their texts, best of 5; {SHORT:,} and {LONG:,} characters")
    for unit in HOSTILE_UNITS:
        short, long = (nanoseconds_a_byte(text_of(unit, length)) for length in (SHORT, LONG))
        print(f"{unit!r:24s} {short:7.1f} {long:7.1f}   x{long / short:.2f}")
    few, many = microseconds_a_candidate(500), microseconds_a_candidate(4000)
    print(f"misspelt titles, us a candidate, 500 and 4,000 of them: {few:.1f} {many:.1f}   x{many / few:.2f}")


if __name__ == "__main__":
    main()
