"""Speculation pays when guesses hold, and can never cost much when they fail."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rranker.engine.speculation import Speculation, pass_overhead


def play(
    rounds: int, suffix: int, overhead: float, first: int, holds: Callable[[], bool]
) -> tuple[float, int]:
    """Cost over that of the same rounds one by one, and passes, when each guess holds by `holds`."""
    sequential = first + rounds * (overhead + suffix)
    account = Speculation(suffix, sequential)
    cost, passes, left = float(first), 0, rounds
    while left:
        # The first round has no verdict to guess from, as in `Greedy.subsets`.
        asked = account.depth(left, overhead) if passes else 1
        used = 1
        while used < asked and holds():
            used += 1
        account.update(asked, used, overhead)
        cost += overhead + asked * suffix
        passes += 1
        left -= used
    return cost / sequential, passes


@pytest.mark.parametrize("suffix", [1, 7, 30])
@pytest.mark.parametrize("overhead", [8.5, 76.0, 256.0])
@pytest.mark.parametrize("rounds", [2, 19, 99, 199])
def test_failing_guesses_cost_at_most_a_twentieth(rounds: int, overhead: float, suffix: int) -> None:
    for first in (0, 300, 10_000):
        ratio, _ = play(rounds, suffix, overhead, first, lambda: False)
        assert ratio <= 1.05 + 1e-9


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("overhead", [8.5, 76.0, 256.0])
def test_guesses_of_any_luck_cost_at_most_a_twentieth(overhead: float, rate: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        ratio, _ = play(99, int(rng.integers(1, 40)), overhead, 500, lambda: bool(rng.random() < rate))
        assert ratio <= 1.05 + 1e-9


def test_holding_guesses_take_few_passes() -> None:
    ratio, passes = play(99, 1, 76.0, 10_200, lambda: True)
    assert passes <= 6
    assert ratio < 0.65
    # where a pass costs little and a question much, there is nothing to win: it stays shallow, and cheap
    ratio, _ = play(19, 30, 8.5, 2200, lambda: True)
    assert ratio <= 1.0


def test_impossible_bookings_are_refused() -> None:
    account = Speculation(1, 100.0)
    for asked, used in ((1, 0), (2, 3)):
        with pytest.raises(ValueError, match="cannot have counted"):
            account.update(asked, used, 8.0)


def test_a_pass_of_a_gpu_costs_its_launches_or_the_reading_of_its_weights() -> None:
    qwen_3b, qwen_05b = pass_overhead("cuda", 2_775_000_000, 36), pass_overhead("cuda", 358_000_000, 24)
    assert 800 < qwen_3b < 900  # launches: 9.6 ms of 2.2 ms of work
    assert qwen_05b > qwen_3b  # the smaller the model, the more tokens fit behind its launches
    fused = pass_overhead("cuda", 2_775_000_000, 36, fused=True)
    assert 256 < fused < qwen_3b / 3  # a third of the launches, and nearly as long as reading the weights
    assert pass_overhead("cuda", 70_000_000_000, 80) == 256  # reading weights takes longer than launching
    assert 8 < pass_overhead("cpu", 2_775_000_000, 36) < 9


@pytest.mark.parametrize("queries", [1, 4, 16, 64])
def test_right_guesses_save_more_than_they_cost_however_many_share_a_pass(queries: int) -> None:
    overhead = pass_overhead("cuda", 2_775_000_000, 36) / queries
    ratio, passes = play(49, 30, overhead, 200 + 50 * 100, lambda: True)
    assert ratio <= 1.0
    assert passes <= 49
    assert queries > 1 or passes <= 6
