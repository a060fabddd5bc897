"""Calibration error and Brier score against plain formulas and hand-made tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rranker.metrics.reliability import brier_score, expected_calibration_error, reliability

pairs = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60)


@given(pairs, st.integers(1, 20))
def test_equal_width_is_what_a_loop_over_bins_says(found: list[tuple[float, int]], bins: int) -> None:
    total = 0.0
    for number in range(bins):
        inside = [
            (p, y)
            for p, y in found
            if int(p * bins) == number or (number == bins - 1 and int(p * bins) == bins)
        ]
        if inside:
            gap = np.mean([p for p, _ in inside]) - np.mean([y for _, y in inside])
            total += len(inside) / len(found) * abs(gap)
    probabilities, labels = zip(*found, strict=True)
    assert expected_calibration_error(probabilities, labels, bins, "width") == pytest.approx(total, abs=1e-9)


@given(pairs, st.integers(1, 20))
def test_equal_mass_puts_about_as_many_in_each_and_parts_no_equals(
    found: list[tuple[float, int]], bins: int
) -> None:
    probabilities, labels = zip(*found, strict=True)
    table = reliability(probabilities, labels, bins, "mass")
    assert sum(each.count for each in table) == len(found)
    assert [each.probability for each in table] == sorted(each.probability for each in table)
    largest = max(probabilities.count(value) for value in probabilities)
    assert max(each.count for each in table) <= -(-len(found) // bins) + 1 + largest
    order = np.random.default_rng(0).permutation(len(found))
    moved = np.asarray(probabilities)[order], np.asarray(labels)[order]
    assert expected_calibration_error(*moved, bins) == pytest.approx(
        expected_calibration_error(probabilities, labels, bins), abs=1e-9
    )


def test_truthful_probabilities_have_no_error_and_certain_ones_all() -> None:
    assert expected_calibration_error([0.25] * 4, [0, 1, 0, 0]) == 0
    assert expected_calibration_error([1.0, 0.0], [0, 1], 2) == 1
    assert brier_score([1.0, 0.0, 0.5], [0, 0, 1]) == pytest.approx((1 + 0 + 0.25) / 3)
    (only,) = reliability([0.2, 0.4], [1, 0], 1)
    assert (only.count, only.probability, only.relevant) == (2, pytest.approx(0.3), 0.5)


@pytest.mark.parametrize(
    ("probabilities", "labels", "more", "message"),
    [
        ([], [], {}, "as many, and some"),
        ([0.5], [1, 0], {}, "as many, and some"),
        ([1.5], [1], {}, "probabilities must lie in"),
        ([float("nan")], [1], {}, "probabilities must lie in"),
        ([0.5], [2], {}, "labels must be 0 or 1"),
        ([0.5], [1], {"bins": 0}, "bins must be at least 1"),
        ([0.5], [1], {"by": "luck"}, "by must be one of 'mass', 'width', not 'luck'"),
    ],
)
def test_what_cannot_be_measured_is_refused(probabilities: Any, labels: Any, more: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(probabilities, labels, **more)


def test_a_number_of_bins_is_whole() -> None:
    with pytest.raises(TypeError, match=r"bins must be a whole number, not 2\.5"):
        reliability([0.5], [1], 2.5)  # type: ignore[arg-type]
