"""The parser on hostile text: time a byte at two lengths, which stay alike because it is linear.

`python -m bench.test_parse` prints the table; under pytest each unit is one benchmark.
"""

from __future__ import annotations

import time

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from rranker import permutations
from tests.csrc.hostile import HOSTILE_TEXTS, HOSTILE_UNITS

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


def main() -> None:
    print(f"ns a byte, 20 candidates with their texts, best of 5; {SHORT:,} and {LONG:,} characters")
    for unit in HOSTILE_UNITS:
        short, long = (nanoseconds_a_byte(text_of(unit, length)) for length in (SHORT, LONG))
        print(f"{unit!r:24s} {short:7.1f} {long:7.1f}   x{long / short:.2f}")


if __name__ == "__main__":
    main()
