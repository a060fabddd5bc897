"""What docs/scale.md promises about memory holds under a load of mixed queries on a small budget."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from bench.memory import measure

BUDGET = 4096


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is read from Linux's /proc")
def test_a_load_adds_no_more_memory_than_the_formula_says() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # a process that holds nothing else
        found = pool.apply(measure, (None, BUDGET, BUDGET, 12))
    assert found["cache"] < found["peak"] < found["cache"] + found["step"]
