"""Runs a target on random inputs for a given time, so that each failure can be repeated by its seed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Target:
    """A door of the library. `check` takes one of `inputs` and raises for what must not happen.

    `chunk` inputs are drawn from each seed: about as many as take a second or two. `prepare` is called first, and
    its time does not count.
    """

    name: str
    inputs: SearchStrategy[Any]
    check: Callable[[Any], None]
    chunk: int = 200
    prepare: Callable[[], object] = lambda: None


def fuzz(
    target: Target, seconds: float, first_seed: int, report: Callable[[str], None] = lambda line: None
) -> int:
    """Runs chunk after chunk, seeds counting up from `first_seed`, until `seconds` are over; at least one.

    Returns how many inputs were tried. What `check` raises goes through, shrunk, with a note that says how to
    repeat it. `report` is told each seed before it runs, so that even a crash of the process leaves it behind.
    """
    target.prepare()
    end = time.monotonic() + seconds
    tried, number = 0, first_seed
    while number == first_seed or time.monotonic() < end:
        report(f"{target.name}: seed {number}")
        try:
            tried += _run_chunk(target, number)
        except BaseException as error:
            error.add_note(f"Repeat it with: python -m tests.fuzz {target.name} --seed {number} --seconds 0")
            raise
        number += 1
    return tried


def _run_chunk(target: Target, number: int) -> int:
    tried = 0

    @seed(number)
    @settings(
        max_examples=target.chunk,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.target, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def chunk(value: Any) -> None:
        nonlocal tried
        tried += 1
        target.check(value)

    chunk()
    return tried
